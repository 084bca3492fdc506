"""`deploy`: publish definitions to the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Activities, Settings, TaskQueue
from interpreter.cli.registered import RegistryNamespace

if TYPE_CHECKING:
    from temporalio.client import Client

    from dsl.catalogue import Catalogue
    from dsl.loader import Loaded
    from dsl.model.definition import Definition
    from interpreter.definitions.registry import Registry
    from interpreter.definitions.schedules import Settled

__all__ = ["about_schedule", "register", "schedule_line", "settled", "unsettled"]

_AT_ONCE = 16


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(deploy)


def deploy(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders.", metavar="PATH...", readable=False)
    ],
    alias: Annotated[
        str, typer.Option("--alias", help="What points to the new revisions from now on.")
    ] = "live",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    activities: Activities = None,
    task_queue: TaskQueue = "dsl",
    registry_namespace: RegistryNamespace = None,
) -> int:
    """Publish definitions, all or none: running workers follow within two seconds.

    They are checked against the activities of the workers that are up, or of the modules named
    with --activities. Runs that are open keep the revision that they began with.
    """
    from interpreter.cli import inputs
    from interpreter.cli.work import Interruptible

    settings = context.find_object(Settings) or Settings()
    if not alias or not alias.isidentifier():
        raise CliError(f"--alias {alias}: it must be letters, digits and _, as in `staging`")
    files = inputs.files_of(paths).paths
    known = inputs.registry(activities).catalogue if activities else None
    job = _Deployment(settings, paths, files, alias, dry_run, task_queue)
    with Interruptible() as loop:
        return loop.run(job.run(registry_namespace, known))


class _Deployment:
    def __init__(
        self,
        settings: Settings,
        paths: Sequence[Path],
        files: Sequence[Path],
        alias: str,
        dry_run: bool,
        queue: str,
    ) -> None:
        self.settings = settings
        self.paths = paths
        self.files = files
        self.alias = alias
        self.dry_run = dry_run
        self.queue = queue
        self.warnings: list[str] = []

    async def run(self, namespace: str | None, known: Catalogue | None) -> int:
        from interpreter.cli.registered import opened

        async with opened(self.settings, namespace) as (client, registry):
            catalogues = [known] if known is not None else await self.running(client, registry)
            definitions = self.checked(catalogues).definitions
            await self.warn_of_calls(registry, definitions)
            written = await registry.foreseen(definitions, self.alias)
            changes = {one.name: await self.change(registry, one) for one in written}
            foreseen = await self.foreseen(client, definitions)
            await self.warn_of_schedules(client, definitions, foreseen)
            self.say_warnings()
            if self.dry_run:
                self.show(changes, foreseen)
            else:
                await self.publish(client, registry, definitions, changes)
        return Exit.DONE

    # What is checked before anything is written.

    async def running(self, client: Client, registry: Registry) -> list[Catalogue]:
        """What the workers that are up can run, the newest first."""
        from interpreter.definitions.catalogues import digest_in, fetch, follows_files
        from interpreter.definitions.host import pollers

        found = await pollers(client, self.queue, activities=True)
        if not found:
            self.warnings.append(
                f"no worker is up on the task queue {self.queue}: activities were not checked"
            )
            return []
        if any(follows_files(one.identity) for one in found):
            self.warnings.append(
                f"a worker on {self.queue} follows files: it does not take what is deployed"
            )
        found.sort(key=lambda one: one.last_access_time.ToNanoseconds(), reverse=True)
        digests = dict.fromkeys(filter(None, (digest_in(one.identity) for one in found)))
        catalogues = [await fetch(registry.client, digest) for digest in digests]
        catalogues = [catalogue for catalogue in catalogues if catalogue is not None]
        if not catalogues and not self.warnings:
            self.warnings.append(
                f"the workers on {self.queue} do not say what they can run: "
                "activities were not checked"
            )
        return catalogues

    def checked(self, catalogues: Sequence[Catalogue]) -> Loaded:
        """The definitions, as at least one of the workers can run them.

        Raises:
            CliError: if there are errors.
        """
        from interpreter.cli import render, reports

        first = loaded = self.load(catalogues[0] if catalogues else None)
        for catalogue in catalogues[1:]:
            if loaded.ok:
                break
            loaded = self.load(catalogue)
        if not loaded.ok:
            loaded = first
        render.diagnostics(loaded.diagnostics)
        if not loaded.ok:
            where = reports.where(loaded.diagnostics, len(self.files))
            raise CliError(
                f"nothing was deployed: {reports.summary(loaded.diagnostics)} in {where}",
                more={"diagnostics": reports.records(loaded.diagnostics)},
            )
        if loaded is not first:
            names = {d.message for d in first.diagnostics}
            self.warnings.append(
                f"other workers on {self.queue} cannot run all of it: {'; '.join(sorted(names))}"
            )
        return loaded

    def load(self, catalogue: Catalogue | None) -> Loaded:
        from dsl.loader import load_files
        from interpreter.cli import render

        with render.progress("checked", len(self.files)) as step:

            def files() -> Any:
                for number, path in enumerate(self.files):
                    step(number)
                    yield path

            return load_files(files(), catalogue)

    async def change(self, registry: Registry, new: Definition) -> list[str] | None:
        """What a definition changes of what the alias points to; None where that is nothing yet."""
        from dsl.difference import differences, input_breaks
        from dsl.model.definition import canonical, digest

        head = await registry.head(new.name)
        if head is None or self.alias not in head.aliases:
            return None
        if head.digests[self.alias] == digest(canonical(new)):
            return []
        try:
            old = (await registry.stored(new.name, head.aliases[self.alias])).definition
        except ValueError:  # of another version of the language's model
            self.warnings.append(f"{new.name} cannot be compared with what {self.alias} is now")
            return []
        self.warnings += [
            f"{new.name} takes less than before: {line}"
            for line in input_breaks(old.input, new.input)
        ]
        return differences(old, new)

    async def warn_of_calls(self, registry: Registry, definitions: Sequence[Definition]) -> None:
        """Says what definitions run that is no definition, or takes no starts."""
        from dsl.diagnostics import did_you_mean
        from interpreter.definitions.calls import called_by

        own = {one.name for one in definitions}
        calls = [(one.name, called) for one in definitions for called in called_by(one)]
        for name, called in calls:
            if called in own:
                continue
            head = await registry.head(called)
            if head is None:
                hint = did_you_mean(called, own)
                hint = f"; {hint}" if hint else ": it must be a workflow of another worker"
                self.warnings.append(f"{name} runs {called}, of which nothing is deployed{hint}")
            elif head.retired:
                self.warnings.append(f"{name} runs {called}, which is retired")

    async def foreseen(
        self, client: Client, definitions: Sequence[Definition]
    ) -> dict[str, Settled]:
        """What becomes of the schedules of definitions.

        Raises:
            CliError: if one cannot be made.
        """
        import asyncio

        from interpreter.definitions.schedules import ScheduleError, foresee

        if self.alias != "live":
            return {}
        slots = asyncio.Semaphore(_AT_ONCE)

        foreseen: dict[str, Settled] = {}
        wrong: list[str] = []

        async def each(definition: Definition) -> None:
            async with slots:
                try:
                    foreseen[definition.name] = await foresee(client, definition, self.queue)
                except ScheduleError as error:
                    wrong.append(str(error))

        await asyncio.gather(*map(each, definitions))
        if wrong:
            raise CliError("\n  ".join(["nothing was deployed:", *sorted(wrong)]))
        return foreseen

    async def warn_of_schedules(
        self,
        client: Client,
        definitions: Sequence[Definition],
        foreseen: Mapping[str, Settled],
    ) -> None:
        """Says which schedules start a definition with an input that it would refuse."""
        from temporalio.client import ScheduleActionStartWorkflow, ScheduleListActionStartWorkflow
        from temporalio.service import RPCError

        if self.alias != "live":
            return  # which is what schedules start
        schemas = {one.name: one.input for one in definitions if one.input is not None}
        async for listed in await client.list_schedules():
            action = listed.schedule.action if listed.schedule is not None else None
            if not isinstance(action, ScheduleListActionStartWorkflow):
                continue
            schema = schemas.get(action.workflow)
            if schema is None:
                continue
            own = foreseen[action.workflow]
            if listed.id == own.id and (own.there or own.change):
                continue  # which gets what the definition says
            try:
                described = await client.get_schedule_handle(listed.id).describe()
            except RPCError:
                continue  # it is gone already
            start = described.schedule.action
            assert isinstance(start, ScheduleActionStartWorkflow)
            if len(start.args) < 2 and (problems := _unfit(schema, start.args)):
                self.warnings.append(
                    f"the schedule {listed.id} starts {action.workflow} with an input that this "
                    f"refuses: {'; '.join(problems)}"
                )

    def say_warnings(self) -> None:
        from interpreter.cli import render

        for warning in self.warnings:
            render.note(f"warning: {warning}", "yellow")

    # What is written, and said.

    async def publish(
        self,
        client: Client,
        registry: Registry,
        definitions: Sequence[Definition],
        changes: dict[str, list[str] | None],
    ) -> None:
        from interpreter.cli import render
        from interpreter.cli.registered import author, commit_of

        with render.progress("published", len(definitions)) as step:
            published = await registry.publish_all(
                definitions,
                by=author(),
                commit=commit_of(self.paths),
                alias=self.alias,
                progress=step,
            )
        schedules: dict[str, Settled] = {}
        errors: dict[str, Exception] = {}
        if self.alias == "live":
            schedules, errors = await settled(client, registry, definitions, self.queue)
        deployed = [
            {"name": name, "revision": one.revision, "new": one.new, "alias": self.alias}
            | {"moved": one.moved, "changes": changes[name] or []}
            | about_schedule(schedules.get(name))
            for name, one in published.items()
        ]
        if self.settings.json and not errors:
            render.result({"deployed": deployed, "warnings": self.warnings})
        elif not self.settings.json:
            for name, one in published.items():
                said = "" if one.new else ", which was there"
                said = said if one.moved else ": unchanged"
                render.line(f"{name}  {self.alias} -> revision {one.revision}{said}")
                if (line := schedule_line(schedules.get(name))) is not None:
                    render.line(f"{name}  {line}")
        if errors:
            said = {n: f"{n} is live with revision {one.revision}" for n, one in published.items()}
            more = {"deployed": deployed, "warnings": self.warnings}
            raise unsettled(errors, said, "deploy again", more)

    def show(self, changes: dict[str, list[str] | None], foreseen: Mapping[str, Settled]) -> None:
        from interpreter.cli import render

        if self.settings.json:
            schedules = {name: about_schedule(one) for name, one in foreseen.items()}
            schedules = {name: one["schedule"] for name, one in schedules.items() if one}
            more = {"schedules": schedules} if schedules else {}
            render.result({"changes": changes, "warnings": self.warnings} | more)
            return
        for name, lines in changes.items():
            if lines is None:
                render.line(f"{name}  {self.alias} would be new")
            elif not lines:
                render.line(f"{name}  unchanged")
            else:
                render.line(f"{name}  would change:")
                for line in lines:
                    render.line(f"  {line}")
            if (line := schedule_line(foreseen.get(name), "would be ")) is not None:
                render.line(f"{name}  {line}")


# Schedules, also for those who only move `live`.


async def settled(
    client: Client,
    registry: Registry,
    definitions: Sequence[Definition | str],
    queue: str | None,
) -> tuple[dict[str, Settled], dict[str, Exception]]:
    """Makes the schedules of definitions what is live says.

    Args:
        client: A client in the namespace of the runs.
        registry: Where the revisions are.
        definitions: The definitions, or their names.
        queue: The task queue of the runs, if somebody said so.

    Returns:
        What was done, and what went wrong, by the names.
    """
    import asyncio

    from temporalio.service import RPCError

    from dsl.model.definition import canonical, digest
    from interpreter.definitions.schedules import ScheduleError, settle
    from interpreter.definitions.store import UnknownDefinitionError

    slots = asyncio.Semaphore(_AT_ONCE)
    done: dict[str, Settled] = {}
    errors: dict[str, Exception] = {}

    async def each(one: Definition | str) -> None:
        name, known = (one, None) if isinstance(one, str) else (one.name, one)
        key = digest(canonical(known)) if known is not None else None
        async with slots:
            try:
                done[name] = await settle(client, registry, name, queue, known, key)
            except (ScheduleError, RPCError, UnknownDefinitionError) as error:
                errors[name] = error
            except ValueError:
                errors[name] = ValueError("its live revision is of another version of temporal-dsl")

    await asyncio.gather(*map(each, definitions))
    return done, errors


def unsettled(
    errors: Mapping[str, Exception],
    done: Mapping[str, str],
    again: str,
    more: Mapping[str, Any] | None = None,
) -> CliError:
    """What to tell whoever moved `live`, where schedules did not follow.

    Args:
        errors: Why not, by the names.
        done: What was done nevertheless, by the names.
        again: What to do again.
        more: What programs get beside the error.
    """
    from temporalio.service import RPCError, RPCStatusCode

    away = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)
    lost = any(isinstance(e, RPCError) and e.status in away for e in errors.values())
    but = "but its schedule does not follow"
    lines = [f"{done[name]}, {but}: {why}" for name, why in sorted(errors.items())]
    hint = f"{again} once that is mended: what is done already is left as it is"
    code = Exit.UNREACHABLE if lost else Exit.WRONG_INPUT
    return CliError("\n  ".join(lines), code, hint, more)


def schedule_line(settled: Settled | None, how: str = "") -> str | None:
    """What became of a schedule, for people; None where nothing did."""
    if settled is None or settled.change is None:
        return None
    keys = f": {', '.join(settled.keys)}" if settled.keys else ""
    return f"schedule {how}{settled.change}{keys}"


def about_schedule(settled: Settled | None) -> dict[str, Any]:
    """The same for programs; nothing where there is no schedule and was none."""
    if settled is None or not (settled.there or settled.change):
        return {}
    change = None if settled.change is None else str(settled.change)
    return {"schedule": {"id": settled.id, "change": change, "keys": list(settled.keys)}}


def _unfit(schema: dict[str, Any], arguments: Sequence[Any]) -> list[str]:
    """Why the input of a schedule, as a payload, does not fit."""
    from dsl.model.inputs import check_input, with_defaults
    from interpreter.payloads import value_of

    try:
        given: Any = value_of(arguments[0]) if arguments else {}
    except ValueError:
        return ["it is no JSON"]
    return check_input(schema, with_defaults(schema, given))
