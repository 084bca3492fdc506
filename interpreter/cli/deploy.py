"""`deploy`: publish definitions to the registry."""

from __future__ import annotations

from collections.abc import Sequence
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

__all__ = ["register"]


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
            changes = {one.name: await self.change(registry, one) for one in definitions}
            await self.warn_of_schedules(client, definitions)
            self.say_warnings()
            if self.dry_run:
                self.show(changes)
            else:
                await self.publish(registry, definitions, changes)
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

    async def warn_of_schedules(self, client: Client, definitions: Sequence[Definition]) -> None:
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
        if self.settings.json:
            deployed = [
                {"name": name, "revision": one.revision, "new": one.new, "alias": self.alias}
                | {"moved": one.moved, "changes": changes[name] or []}
                for name, one in published.items()
            ]
            render.result({"deployed": deployed, "warnings": self.warnings})
            return
        for name, one in published.items():
            said = "" if one.new else ", which was there"
            said = said if one.moved else ": unchanged"
            render.line(f"{name}  {self.alias} -> revision {one.revision}{said}")

    def show(self, changes: dict[str, list[str] | None]) -> None:
        from interpreter.cli import render

        if self.settings.json:
            render.result({"changes": changes, "warnings": self.warnings})
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


def _unfit(schema: dict[str, Any], arguments: Sequence[Any]) -> list[str]:
    """Why the input of a schedule, as a payload, does not fit."""
    from dsl.model.inputs import check_input, with_defaults
    from interpreter.payloads import value_of

    try:
        given: Any = value_of(arguments[0]) if arguments else {}
    except ValueError:
        return ["it is no JSON"]
    return check_input(schema, with_defaults(schema, given))
