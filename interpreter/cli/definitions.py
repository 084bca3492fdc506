"""`definitions`: what the registry holds, and where its aliases point."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from interpreter.cli.errors import CliError
from interpreter.cli.options import Settings
from interpreter.cli.registered import Name, RegistryNamespace

if TYPE_CHECKING:
    from temporalio.client import Client

    from interpreter.definitions.registry import Registry
    from interpreter.definitions.schedules import Settled

__all__ = ["register"]

RevisionNumber = Annotated[
    int | None, typer.Option("--revision", help="Which revision. Default: the one that is live.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="The definitions that are deployed.", rich_markup_mode=None
    )
    for command in (show, diff, history, promote, retire):
        group.command()(command)
    group.command("list")(list_)
    app.add_typer(group, name="definitions")


def _settings(context: typer.Context) -> Settings:
    return context.find_object(Settings) or Settings()


def _run(work: Coroutine[Any, Any, None]) -> None:
    from interpreter.cli.work import Interruptible

    with Interruptible() as loop:
        loop.run(work)


def list_(context: typer.Context, registry_namespace: RegistryNamespace = None) -> None:
    """List the definitions that are deployed, and where their aliases point."""
    _run(_list(_settings(context), registry_namespace))


async def _list(settings: Settings, namespace: str | None) -> None:
    from interpreter.cli import render
    from interpreter.cli.registered import opened

    async with opened(settings, namespace) as (_, registry):
        heads = await registry.heads()
    if settings.json:
        render.result(
            [
                {"name": head.name, "aliases": head.aliases, "weights": head.weights}
                | {"retired": head.retired, "revisions": head.revisions, "changed": head.changed}
                for head in heads
            ]
        )
        return
    if not heads:
        render.note("nothing is deployed; `temporal-dsl deploy PATH` does it")
        return
    rows: list[list[str]] = []
    for head in heads:
        pointed = [
            f"{alias} -> {number}" + _share(head.weights.get(alias))
            for alias, number in sorted(head.aliases.items())
        ]
        state = "retired" if head.retired else ", ".join(pointed) or "no alias"
        rows.append([head.name, str(head.revisions), state, _moment(head.changed)])
    render.table(["name", "revisions", "aliases", "changed"], rows)


def _share(weight: float | None) -> str:
    return "" if weight is None else f" ({weight * 100:.6g}%)"


def _moment(text: str) -> str:
    return text[:19].replace("T", " ")


def show(
    context: typer.Context,
    name: Name,
    revision: RevisionNumber = None,
    registry_namespace: RegistryNamespace = None,
) -> None:
    """Show a revision: its normal form, with all defaults in it."""
    _run(_show(_settings(context), registry_namespace, name, revision))


async def _show(settings: Settings, namespace: str | None, name: str, number: int | None) -> None:
    import json

    from dsl.syntax import to_yaml
    from interpreter.cli import render
    from interpreter.cli.registered import opened
    from interpreter.definitions.packed import unpack

    async with opened(settings, namespace) as (_, registry):
        kept = await registry.kept(name)
        if number is None:
            number = kept.aliases["live"].revision if "live" in kept.aliases else kept.upcoming - 1
        found = await registry.revision(name, number)
    assert found.body is not None
    content = json.loads(unpack(found.body))
    if settings.json:
        about = {"name": name, "revision": number, "digest": found.digest}
        about |= {"at": found.at, "by": found.by, "commit": found.commit}
        render.result(about | {"definition": content})
        return
    commit = f", commit {found.commit}" if found.commit else ""
    render.line(f"# {name}, revision {number}: {found.by}, {_moment(found.at)}{commit}")
    render.line(to_yaml(content).rstrip())


def diff(
    context: typer.Context,
    name: Name,
    old: Annotated[
        int | None, typer.Argument(help="A revision. Default: the one before.", metavar="[OLD]")
    ] = None,
    new: Annotated[
        int | None, typer.Argument(help="Another. Default: the last.", metavar="[NEW]")
    ] = None,
    registry_namespace: RegistryNamespace = None,
) -> None:
    """Show what changed between two revisions, step by step."""
    _run(_diff(_settings(context), registry_namespace, name, old, new))


async def _diff(
    settings: Settings, namespace: str | None, name: str, old: int | None, new: int | None
) -> None:
    from dsl.difference import differences, input_breaks
    from interpreter.cli import render
    from interpreter.cli.registered import opened

    async with opened(settings, namespace) as (_, registry):
        last = (await registry.kept(name)).upcoming - 1
        new = last if new is None else new
        if old is None and new == 1:
            raise CliError(f"{name} has one revision only", hint="there is nothing to compare with")
        old = new - 1 if old is None else old
        first = (await registry.stored(name, old)).definition
        second = (await registry.stored(name, new)).definition
    lines, breaks = differences(first, second), input_breaks(first.input, second.input)
    if settings.json:
        render.result({"name": name, "old": old, "new": new, "changes": lines, "breaks": breaks})
        return
    render.note(f"{name}: revision {old} -> revision {new}")
    for line in lines or ["nothing changed"]:
        render.line(line)
    for line in breaks:
        render.note(f"warning: it takes less than before: {line}", "yellow")


def history(
    context: typer.Context, name: Name, registry_namespace: RegistryNamespace = None
) -> None:
    """Show who did what with a definition, and its revisions."""
    _run(_history(_settings(context), registry_namespace, name))


async def _history(settings: Settings, namespace: str | None, name: str) -> None:
    from dataclasses import asdict

    from interpreter.cli import render
    from interpreter.cli.registered import opened

    async with opened(settings, namespace) as (_, registry):
        kept = await registry.kept(name)
    if settings.json:
        revisions = [
            {"revision": r.number, "digest": r.digest, "at": r.at, "by": r.by, "commit": r.commit}
            for r in kept.revisions
        ]
        aliases = {alias: asdict(target) for alias, target in kept.aliases.items()}
        render.result(
            {"name": name, "aliases": aliases, "retired": kept.retired, "revisions": revisions}
            | {"history": [asdict(deed) for deed in kept.deeds]}
        )
        return
    commits = {f"revision {r.number} published": r.commit or "" for r in kept.revisions}
    rows = [[_moment(d.at), d.by, d.what, commits.get(d.what, "")] for d in kept.deeds]
    render.table(["when", "who", "what", "commit"], rows)


def promote(
    context: typer.Context,
    name: Name,
    to: Annotated[int, typer.Option("--to", metavar="REVISION", help="The revision.")],
    alias: Annotated[
        str | None,
        typer.Option("--alias", help="The alias. Default: live, or canary with a weight."),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option("--weight", metavar="PERCENT", help="The share of the starts of live."),
    ] = None,
    task_queue: Annotated[
        str | None,
        typer.Option(
            "--task-queue",
            "-t",
            help="The task queue of its schedule. Default: as it is, else dsl.",
        ),
    ] = None,
    registry_namespace: RegistryNamespace = None,
) -> None:
    """Point an alias to a revision, forward or back; with --weight only a share of the starts."""
    share = None if weight is None else _weight(weight)
    where = alias or ("live" if share is None else "canary")
    if not where.isidentifier():
        raise CliError(f"--alias {where}: it must be letters, digits and _, as in `staging`")
    _run(_promote(_settings(context), registry_namespace, name, where, to, share, task_queue))


def _weight(text: str) -> float:
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise CliError(f"--weight {text}: it must be a share such as 10% or 0.1")
    return number


async def _promote(
    settings: Settings,
    namespace: str | None,
    name: str,
    alias: str,
    number: int,
    weight: float | None,
    queue: str | None,
) -> None:
    from interpreter.cli.registered import author, opened

    async with opened(settings, namespace) as (client, registry):
        moved = await registry.point(name, alias, number, by=author(), weight=weight)
        outcome = await _settled(client, registry, name, queue, alias == "live")
    target = {"name": name, "alias": alias, "revision": number, "weight": weight}
    said = "" if moved else ": unchanged"
    line = f"{name}  {alias} -> revision {number}{_share(weight)}{said}"
    done = f"{name} is live with revision {number}"
    _say(settings, name, target | {"moved": moved}, line, outcome, done, "promote it again")


def retire(
    context: typer.Context,
    name: Name,
    alias: Annotated[str | None, typer.Option("--alias", help="Only take this alias away.")] = None,
    registry_namespace: RegistryNamespace = None,
) -> None:
    """Refuse new starts of a definition. Runs that are open go on; promote takes it back."""
    _run(_retire(_settings(context), registry_namespace, name, alias))


async def _retire(settings: Settings, namespace: str | None, name: str, alias: str | None) -> None:
    from interpreter.cli.registered import author, opened

    async with opened(settings, namespace) as (client, registry):
        moved = await registry.retire(name, by=author(), alias=alias)
        outcome = await _settled(client, registry, name, None, alias is None)
    about = {"name": name, "alias": alias, "retired": alias is None, "moved": moved}
    if alias is not None:
        line = f"{name}  {alias} " + ("taken away" if moved else "was not there")
    else:
        line = f"{name}  " + ("retired: it takes no starts" if moved else "was retired before")
    done = f"{name} is retired"
    _say(settings, name, about, line, outcome, done, "retire it again")


_Outcome: TypeAlias = "tuple[dict[str, Settled], dict[str, Exception]]"


async def _settled(
    client: Client, registry: Registry, name: str, queue: str | None, live: bool
) -> _Outcome:
    """Lets the schedule follow, where `live` was moved."""
    from interpreter.cli.deploy import settled

    return await settled(client, registry, [name], queue) if live else ({}, {})


def _say(
    settings: Settings,
    name: str,
    about: dict[str, Any],
    line: str,
    outcome: _Outcome,
    done: str,
    again: str,
) -> None:
    """Says what was done with a definition and its schedule.

    Args:
        about: It, for programs.
        line: The same for people.
        outcome: What became of its schedule.
        done: What was done even where that failed.
        again: What to do again then.

    Raises:
        CliError: if the schedule did not follow.
    """
    from interpreter.cli import render
    from interpreter.cli.deploy import about_schedule, schedule_line, unsettled

    schedules, errors = outcome
    about = about | about_schedule(schedules.get(name))
    if settings.json and not errors:
        render.result(about)
    elif not settings.json:
        render.line(line)
        if (said := schedule_line(schedules.get(name))) is not None:
            render.line(f"{name}  {said}")
    if errors:
        raise unsettled(errors, {name: done}, again, about)
