"""The registry: for each definition's name a workflow that never ends and holds its revisions.

Temporal is the only database. A revision is immutable and known by its content; aliases point to
revisions, and starts follow aliases. What changes is written by updates, whose validators refuse
what is wrong before anything is written. Where the aliases point is also in the workflow's memo,
which is read without a worker.

This code is replayed as the interpreter is: tests/histories has what it once did.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

__all__ = [
    "LIVE",
    "MEMO",
    "TYPE",
    "Deed",
    "DefinitionEntity",
    "DeploymentWorkflow",
    "Kept",
    "Pointing",
    "Publication",
    "Published",
    "Retirement",
    "Revision",
    "Target",
    "id_of",
]

TYPE = "dsl.definition"
"""The Workflow Type of these workflows, and what their ids begin with."""
LIVE = "live"
"""The alias that starts follow where nothing else is said."""
MEMO = "dsl"
"""The key of the memo that says where the aliases point."""
_MOST_BODIES = 100
_MOST_BYTES = 1024 * 1024
_MOST_POINTED = 1024 * 1024
_MOST_ALIASES = 100
_MOST_RECORDS = 500
_AT_ONCE = 500
"""How many signals are sent before their arrival is waited for: Temporal takes 2,000."""
_MOST_EVENTS = 4000


def id_of(name: str) -> str:
    """The Workflow Id of a definition's registration."""
    return f"{TYPE}/{name}"


@dataclass(slots=True)
class Revision:
    """A revision.

    Attributes:
        number: Counted from 1.
        digest: SHA-256 of its normal form, in hex.
        body: Its normal form, packed; None once it was let go.
        at: When it was published, RFC 3339.
        by: Who published it.
        commit: The state of the author's repository, where there is one.
    """

    number: int
    digest: str
    body: str | None
    at: str
    by: str
    commit: str | None = None


@dataclass(slots=True)
class Target:
    """Where an alias points.

    Attributes:
        revision: The number of the revision.
        weight: The share of the starts of `live` that go here instead, between 0 and 1.
    """

    revision: int
    weight: float | None = None


@dataclass(slots=True)
class Deed:
    """What was done, for those who ask later."""

    at: str
    by: str
    what: str


@dataclass(slots=True)
class Kept:
    """All that is known of a definition's name; it goes along when the workflow continues as new.

    Attributes:
        revisions: The revisions, the oldest first.
        aliases: Where the aliases point.
        retired: Whether it takes no starts.
        deeds: What was done, the newest last.
        upcoming: The number of the next revision.
    """

    name: str
    revisions: list[Revision] = field(default_factory=list[Revision])
    aliases: dict[str, Target] = field(default_factory=dict[str, Target])
    retired: bool = False
    deeds: list[Deed] = field(default_factory=list[Deed])
    upcoming: int = 1

    def find(self, digest: str) -> Revision | None:
        """The revision of a content, if its body is still here."""
        return next((r for r in self.revisions if r.digest == digest and r.body), None)

    def revision(self, number: int) -> Revision | None:
        """A revision by its number."""
        return next((r for r in self.revisions if r.number == number), None)


@dataclass(slots=True)
class Publication:
    """A revision to publish.

    Attributes:
        body: Its normal form, packed.
        digest: SHA-256 of its normal form, in hex.
        by: Who publishes it.
        commit: The state of the author's repository, where there is one.
        alias: What points to it from now on; None if it is only to be kept.
    """

    body: str
    digest: str
    by: str
    commit: str | None = None
    alias: str | None = LIVE


@dataclass(slots=True)
class Published:
    """What became of a publication.

    Attributes:
        revision: The number of the revision of that content.
        new: Whether it was not there before.
        moved: Whether the alias pointed elsewhere before, or starts were refused.
    """

    revision: int
    new: bool
    moved: bool


@dataclass(slots=True)
class Pointing:
    """Where an alias is to point. With a weight it takes a share of the starts of `live`."""

    alias: str
    revision: int
    by: str
    weight: float | None = None


@dataclass(slots=True)
class Retirement:
    """That no start is taken any more, until `live` is published or promoted again.

    Attributes:
        by: Who wants it.
        alias: The alias that is taken away, and nothing else; None for the whole name.
    """

    by: str
    alias: str | None = None


@workflow.defn(name=TYPE, sandboxed=False)
class DefinitionEntity:
    """Holds the revisions of one name."""

    @workflow.init
    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    @workflow.run
    async def run(self, kept: Kept) -> None:
        """Lives for ever."""
        await workflow.wait_condition(self._is_long)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._kept, memo={MEMO: self._summary()})

    def _is_long(self) -> bool:
        info = workflow.info()
        length = info.get_current_history_length()
        return info.is_continue_as_new_suggested() or length > _MOST_EVENTS

    @workflow.update
    def publish(self, publication: Publication) -> Published:
        """Keeps a revision, and points an alias to it. The same content is kept once."""
        kept = self._kept
        found = kept.find(publication.digest)
        new = found is None
        if found is None:
            found = Revision(
                kept.upcoming,
                publication.digest,
                publication.body,
                self._now(),
                publication.by,
                publication.commit,
            )
            kept.upcoming += 1
            kept.revisions.append(found)
            self._note(publication.by, f"revision {found.number} published")
        alias = publication.alias
        moved = alias is not None and self._follow(alias, found.number, publication.by)
        self._let_go(found)
        if moved:
            self._tell()
        return Published(found.number, new, moved)

    @publish.validator
    def _check_publication(self, publication: Publication) -> None:
        # Imported here: what is replayed needs none of it.
        from interpreter.definitions.publishing import refusal

        why = refusal(self._kept.name, publication)
        if why is None and publication.alias is not None:
            why = self._too_much(publication.alias, len(publication.body))
        if why is not None:
            raise ApplicationError(why, type="InvalidDefinition", non_retryable=True)

    @workflow.update
    def point(self, pointing: Pointing) -> bool:
        """Points an alias to a revision that is kept; says whether that changed anything."""
        moved = self._move(pointing)
        if moved:
            self._tell()
        return moved

    @point.validator
    def _check_pointing(self, pointing: Pointing) -> None:
        why = self._unfit(pointing)
        if why is not None:
            raise ApplicationError(why, type="UnknownRevision", non_retryable=True)

    @workflow.signal
    def deployed(self, pointing: Pointing) -> None:
        """As `point`, from a deployment of several definitions, which asked before."""
        to = pointing
        if self._unfit(to) is None and self._follow(to.alias, to.revision, to.by):
            self._tell()

    @workflow.update
    def retire(self, retirement: Retirement) -> bool:
        """Takes no starts from now on, or an alias away; says whether that changed anything."""
        kept = self._kept
        if retirement.alias is not None:
            if kept.aliases.pop(retirement.alias, None) is None:
                return False
            self._note(retirement.by, f"{retirement.alias} taken away")
        elif kept.retired:
            return False
        else:
            kept.retired = True
            self._note(retirement.by, "retired")
        self._tell()
        return True

    @retire.validator
    def _check_retirement(self, retirement: Retirement) -> None:
        why = self._nothing() if self._kept.upcoming == 1 else None
        if retirement.alias == LIVE:
            why = f"`{LIVE}` cannot be taken away: retire the whole"
        if why is not None:
            raise ApplicationError(why, type="UnknownRevision", non_retryable=True)

    @workflow.query
    def kept(self) -> Kept:
        """All that is known, without the bodies."""
        kept = self._kept
        bare = [Revision(r.number, r.digest, None, r.at, r.by, r.commit) for r in kept.revisions]
        return Kept(kept.name, bare, kept.aliases, kept.retired, kept.deeds, kept.upcoming)

    @workflow.query
    def revision(self, number: int) -> Revision | None:
        """A revision with its body."""
        return self._kept.revision(number)

    def _unfit(self, pointing: Pointing) -> str | None:
        kept = self._kept
        if kept.upcoming == 1:
            return self._nothing()
        found = kept.revision(pointing.revision)
        if found is None:
            last = kept.upcoming - 1
            return f"{kept.name} has no revision {pointing.revision}, the last one is {last}"
        if found.body is None:
            return f"revision {found.number} of {kept.name} is no longer kept: deploy it again"
        if pointing.weight is not None:
            if pointing.alias == LIVE:
                return f"a share is taken from `{LIVE}`, it cannot go there"
            if LIVE not in kept.aliases:
                return f"{kept.name} has no `{LIVE}` from which to take a share"
        return self._too_much(pointing.alias, len(found.body))

    def _too_much(self, alias: str, size: int) -> str | None:
        """Why an alias cannot point to a body of such a size; None where it can.

        What aliases point to is never let go, and all of it must fit into one message.
        """
        others = {t.revision for name, t in self._kept.aliases.items() if name != alias}
        size += sum(len(r.body) for r in self._kept.revisions if r.body and r.number in others)
        if size <= _MOST_POINTED and len({*self._kept.aliases, alias}) <= _MOST_ALIASES:
            return None
        return (
            f"the aliases of {self._kept.name} hold too much ({size:,} bytes packed): take some "
            f"away with `temporal-dsl definitions retire {self._kept.name} --alias ALIAS`"
        )

    def _nothing(self) -> str:
        return f"no definition named {self._kept.name} is deployed"

    def _follow(self, alias: str, revision: int, by: str) -> bool:
        """Points an alias to what was published. Its share stays, and so do trials if it does."""
        before = self._kept.aliases.get(alias)
        back = self._kept.retired and alias == LIVE
        if before is not None and before.revision == revision and not back:
            return False
        return self._move(Pointing(alias, revision, by, before.weight if before else None))

    def _move(self, to: Pointing) -> bool:
        """Points an alias somewhere. What becomes `live` ends the trial of a share."""
        kept = self._kept
        target = Target(to.revision, to.weight)
        aliases = {**kept.aliases, to.alias: target}
        if to.alias == LIVE:
            aliases = {name: one for name, one in aliases.items() if one.weight is None}
        elif to.weight is not None:
            # One trial at a time, so that the shares never add up to more than there is.
            others = {name: one for name, one in aliases.items() if one.weight is None}
            aliases = others | {to.alias: target}
        retired = kept.retired and to.alias != LIVE
        if aliases == kept.aliases and retired == kept.retired:
            return False
        kept.aliases, kept.retired = aliases, retired
        share = "" if to.weight is None else f" with {to.weight * 100:.6g}% of the starts"
        self._note(to.by, f"{to.alias} -> revision {to.revision}{share}")
        return True

    def _let_go(self, published: Revision) -> None:
        """Lets go of old bodies, which no run needs: each has its own copy."""
        kept = self._kept
        pointed = {target.revision for target in kept.aliases.values()} | {published.number}
        size = sum(len(r.body) for r in kept.revisions if r.body and r.number in pointed)
        bodies = 0
        for revision in reversed(kept.revisions):
            if revision.body is None or revision.number in pointed:
                continue
            bodies += 1
            size += len(revision.body)
            if bodies > _MOST_BODIES or size > _MOST_BYTES:
                size -= len(revision.body)
                revision.body = None
        recent = kept.upcoming - _MOST_RECORDS
        kept.revisions = [r for r in kept.revisions if r.body or r.number >= recent]

    def _note(self, by: str, what: str) -> None:
        self._kept.deeds.append(Deed(self._now(), by, what))
        del self._kept.deeds[:-_MOST_RECORDS]

    def _tell(self) -> None:
        workflow.upsert_memo({MEMO: self._summary()})

    def _summary(self) -> dict[str, Any]:
        """What the memo says: enough to choose a revision."""
        kept = self._kept
        digests = {revision.number: revision.digest for revision in kept.revisions}
        aliases = {
            name: {
                "revision": target.revision,
                "digest": digests.get(target.revision),
                "weight": target.weight,
            }
            for name, target in kept.aliases.items()
        }
        return {
            "name": kept.name,
            "born": workflow.info().first_execution_run_id,
            "aliases": aliases,
            "retired": kept.retired,
            "revisions": kept.upcoming - 1,
            "changed": self._now(),
        }

    def _now(self) -> str:
        return workflow.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


@workflow.defn(name="dsl.deployment", sandboxed=False)
class DeploymentWorkflow:
    """Points an alias of several definitions to revisions that are kept already.

    Who deploys may be killed between one definition and the next; this is not.
    """

    @workflow.run
    async def run(self, alias: str, by: str, revisions: dict[str, int]) -> None:
        """Points them, all at once.

        Args:
            alias: The alias.
            by: Who deploys.
            revisions: The revision for each name.
        """

        async def point(name: str, revision: int) -> None:
            entity = workflow.get_external_workflow_handle_for(DefinitionEntity.run, id_of(name))
            await entity.signal(DefinitionEntity.deployed, Pointing(alias, revision, by))

        names = list(revisions)
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            await asyncio.gather(*(point(name, revisions[name]) for name in some))
