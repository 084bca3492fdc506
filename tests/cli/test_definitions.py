"""`definitions`: what is deployed, what changed and who did it, and where starts go."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from interpreter.definitions.registry import Head, Registry
from tests.cli.support import Done
from tests.end_to_end.support import Site, WorkerProcess
from tests.support.servers import real_server

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DIGEST = re.compile(r"[0-9a-f]{64}")
CHARGE = """\
dsl: 1
name: {name}
input:
  type: object
  properties: {{amount: {{type: integer, default: 1}}}}
steps:
  - id: charge
    activity: bank.charge
    start_to_close_timeout: 10s
    retry: {{maximum_attempts: {attempts}}}
    with: {{amount: "${{ input.amount }}"}}
  - id: told
    value: "yes: {{no}}"
output: ${{ steps.told.output }}
"""


def text(name: str, value: object = 1) -> str:
    return f"dsl: 1\nname: {name}\nsteps:\n  - id: only\n    value: {value}\noutput: {value}\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A server, and a worker that follows its registry."""
    async with real_server() as server:
        site = Site(server)
        with WorkerProcess(site, tmp_path_factory.mktemp("worker") / "log") as worker:
            await worker.ready()
            yield site
        await site.replay()


async def deployed(site: Site, file: Path, *contents: str) -> None:
    """Deploys a file in one state after another."""
    for content in contents:
        file.write_text(content)
        done = await site.cli("deploy", file, "--task-queue", "nobody")
        assert done.code == 0, done


async def head(site: Site, name: str) -> Head:
    found = await Registry(site.client).head(name)
    assert found is not None
    return found


def said(done: Done, text: str) -> None:
    assert (done.code, done.out, done.err) == (0, text, ""), done


def wrong(done: Done, error: str, hint: str | None = None) -> None:
    """Checks that a command failed as it should."""
    more = f"  hint: {hint}\n" if hint else ""
    assert (done.code, done.out, done.err) == (2, "", f"error: {error}\n{more}"), done


# --- list


async def test_list(site: Site, tmp_path: Path) -> None:
    """The first of this module: nothing is deployed yet."""
    empty, programs = await asyncio.gather(
        site.cli("definitions", "list"), site.cli("definitions", "list", "-o", "json")
    )
    hint = "nothing is deployed; `temporal-dsl deploy PATH` does it\n"
    assert (empty.code, empty.out, empty.err) == (0, "", hint)
    assert (programs.code, programs.json(), programs.err) == (0, [], "")

    (tmp_path / "z.yaml").write_text(text("zebra"))
    (tmp_path / "a.yaml").write_text(text("ant"))
    assert (await site.cli("deploy", tmp_path)).code == 0
    await deployed(site, tmp_path / "a.yaml", text("ant", 2))
    done = await site.cli("definitions", "promote", "ant", "--to", "1", "--weight", "12.5%")
    said(done, "ant  canary -> revision 1 (12.5%)\n")
    said(await site.cli("definitions", "retire", "zebra"), "zebra  retired: it takes no starts\n")

    async def listed() -> list[dict[str, Any]]:
        done = await site.cli("definitions", "list", "-o", "json")
        assert (done.code, done.err) == (0, "")
        return done.json()

    found: list[dict[str, Any]] = []
    for _ in range(20):  # visibility is behind a little
        found = await listed()
        if len(found) == 2 and found[0]["weights"] and found[1]["retired"]:
            break
    assert all(RFC3339.fullmatch(one.pop("changed")) for one in found)
    assert found == [
        {"name": "ant", "aliases": {"canary": 1, "live": 2}, "weights": {"canary": 0.125}}
        | {"retired": False, "revisions": 2},
        {"name": "zebra", "aliases": {"live": 1}, "weights": {}, "retired": True, "revisions": 1},
    ]
    done = await site.cli("definitions", "list")
    assert (done.code, done.err) == (0, "")
    titles, ant, zebra = done.out.splitlines()
    assert titles.split() == ["name", "revisions", "aliases", "changed"]
    assert re.fullmatch(rf"ant    2          canary -> 1 \(12\.5%\), live -> 2  {MOMENT}", ant)
    assert re.fullmatch(rf"zebra  1          retired +{MOMENT}", zebra)


# --- show, diff, history


async def test_show_and_diff(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "shown.yaml"
    await deployed(site, file, *(CHARGE.format(name="shown", attempts=n) for n in (3, 5)))
    last, first, programs, alone, changed, again, same = await asyncio.gather(
        site.cli("definitions", "show", "shown"),
        site.cli("definitions", "show", "shown", "--revision", "1"),
        site.cli("definitions", "show", "shown", "--revision", "1", "-o", "json"),
        site.cli("definitions", "diff", "shown"),
        site.cli("definitions", "diff", "shown", "1", "2", "-o", "json"),
        site.cli("definitions", "diff", "shown", "2", "1"),
        site.cli("definitions", "diff", "shown", "1", "1"),
    )
    assert (last.code, last.err) == (0, "")
    assert re.match(rf"# shown, revision 2: \S+@\S+, {MOMENT}\n", last.out), last
    assert "maximum_attempts: 5" in last.out and "maximum_attempts: 3" in first.out

    # What is shown is what was deployed.
    file.write_text(last.out)
    validated, redeployed = await asyncio.gather(
        site.cli("validate", file), site.cli("deploy", file, "--task-queue", "nobody")
    )
    assert validated.code == 0, validated
    assert redeployed.out == "shown  live -> revision 2: unchanged\n"

    found = programs.json()
    assert (programs.code, programs.err) == (0, "")
    assert (found["name"], found["revision"], found["commit"]) == ("shown", 1, None)
    assert DIGEST.fullmatch(found["digest"]) and RFC3339.fullmatch(found["at"])
    assert "@" in found["by"]
    assert found["definition"]["steps"][0]["retry"] == {"maximum_attempts": 3}
    assert len(found) == 7

    line = "step charge: retry.maximum_attempts {} -> {}"
    heading = "shown: revision {} -> revision {}\n"
    assert (alone.code, alone.out) == (0, line.format(3, 5) + "\n"), alone
    assert alone.err == heading.format(1, 2)
    assert (changed.code, changed.err) == (0, "")
    assert changed.json() == {
        "name": "shown",
        "old": 1,
        "new": 2,
        "changes": [line.format(3, 5)],
        "breaks": [],
    }
    assert (again.code, again.out) == (0, line.format(5, 3) + "\n"), again
    assert again.err == heading.format(2, 1)
    assert (same.code, same.out, same.err) == (0, "nothing changed\n", heading.format(1, 1))


async def test_diff_of_steps_and_of_the_input(site: Site, tmp_path: Path) -> None:
    before = CHARGE.format(name="grown", attempts=3)
    after = before.replace("properties:", "required: [who]\n  properties:")
    after = after.replace("{amount: {", "{who: {type: string}, amount: {")
    after = after.replace("  - id: told\n", "  - id: nap\n    sleep: 1s\n  - id: told\n")
    await deployed(site, tmp_path / "grown.yaml", before, after)
    text, programs = await asyncio.gather(
        site.cli("definitions", "diff", "grown"), site.cli("definitions", "diff", "grown", "-ojson")
    )
    assert text.code == 0
    assert "step nap added after charge\n" in text.out, text
    assert "input: property who added" in text.out
    broken = "`input.who` is required now and has no default"
    assert text.err.endswith(f"\nwarning: it takes less than before: {broken}\n")
    assert programs.json()["breaks"] == [broken]
    assert programs.json()["changes"] == text.out.splitlines()


async def test_history(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "flows" / "told.yaml"
    file.parent.mkdir()
    git(tmp_path, "init", "-q")
    file.write_text(text("told"))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "One")
    commit = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    (tmp_path / "other.txt").write_text("elsewhere")
    await deployed(site, file, text("told"), text("told", 2))
    assert (await site.cli("definitions", "promote", "told", "--to", "1")).code == 0
    await site.cli("definitions", "promote", "told", "--to", "2", "--weight", "0.1")
    await site.cli("definitions", "retire", "told")
    done, programs, shown = await asyncio.gather(
        site.cli("definitions", "history", "told"),
        site.cli("definitions", "history", "told", "-o", "json"),
        site.cli("definitions", "show", "told", "--revision", "2"),
    )
    assert (done.code, done.err) == (0, "")
    who = re.escape(programs.json()["history"][0]["by"])
    deeds = [
        ("revision 1 published", commit),
        ("live -> revision 1", ""),
        ("revision 2 published", f"{commit} with changes"),
        ("live -> revision 2", ""),
        ("live -> revision 1", ""),
        ("canary -> revision 2 with 10% of the starts", ""),
        ("retired", ""),
    ]
    titles, *lines = done.out.splitlines()
    assert titles.split() == ["when", "who", "what", "commit"]
    for line, (what, state) in zip(lines, deeds, strict=True):
        assert re.fullmatch(rf"{MOMENT}  {who}  {re.escape(what)} *{state}", line), line
    assert f", commit {commit} with changes\n" in shown.out

    found = programs.json()
    assert [deed["what"] for deed in found.pop("history")] == [what for what, _ in deeds]
    revisions = found.pop("revisions")
    assert [one["commit"] for one in revisions] == [commit, f"{commit} with changes"]
    assert [one["revision"] for one in revisions] == [1, 2]
    assert all(DIGEST.fullmatch(one["digest"]) for one in revisions)
    aliases = {
        "live": {"revision": 1, "weight": None},
        "canary": {"revision": 2, "weight": 0.1},
    }
    assert found == {"name": "told", "retired": True, "aliases": aliases}


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    nothing = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *who, "-C", folder, *arguments],
        env=os.environ | nothing,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


# --- promote, retire


async def test_promote(site: Site, tmp_path: Path) -> None:
    await deployed(site, tmp_path / "moved.yaml", text("moved"), text("moved", 2))

    async def promote(*arguments: str) -> Done:
        return await site.cli("definitions", "promote", "moved", *arguments)

    said(await promote("--to", "1"), "moved  live -> revision 1\n")
    said(await promote("--to", "1"), "moved  live -> revision 1: unchanged\n")
    done = await promote("--to", "2", "--weight", "20%", "-o", "json")
    assert (done.code, done.err) == (0, "")
    assert done.json() == (
        {"name": "moved", "alias": "canary", "revision": 2, "weight": 0.2, "moved": True}
    )
    found = await head(site, "moved")
    assert (found.aliases, found.weights) == ({"canary": 2, "live": 1}, {"canary": 0.2})
    # What becomes live ends the trial.
    said(await promote("--to", "2"), "moved  live -> revision 2\n")
    found = await head(site, "moved")
    assert (found.aliases, found.weights) == ({"live": 2}, {})

    share = "it must be a share such as 10% or 0.1"
    name = "it must be letters, digits and _, as in `staging`"
    unknown = "moved has no revision {}, the last one is 2"
    refused = {
        ("--to", "9"): unknown.format(9),
        ("--to", "0"): unknown.format(0),
        ("--to", "1", "--alias", "a-b"): f"--alias a-b: {name}",
        ("--to", "1", "--weight", "0.1", "--alias", "live"): (
            "moved: a share is taken from `live`, it cannot go there"
        ),
    }
    weights = ("0", "100%", "20", "many", "nan")
    refused |= {("--to", "1", f"--weight={w}"): f"--weight {w}: {share}" for w in weights}
    outcomes = await asyncio.gather(*(promote(*arguments) for arguments in refused))
    for done, error in zip(outcomes, refused.values(), strict=True):
        wrong(done, error)
    assert (await head(site, "moved")).aliases == {"live": 2}


async def test_what_is_not_deployed(site: Site, tmp_path: Path) -> None:
    await deployed(site, tmp_path / "single.yaml", text("single"))
    unknown = "no definition named singel is deployed"
    only = ("single has one revision only", "there is nothing to compare with")
    asked: dict[tuple[str, ...], tuple[str, str | None]] = {
        ("show", "singel"): (unknown, None),
        ("promote", "singel", "--to", "1"): (unknown, None),
        ("retire", "singel"): (unknown, None),
        ("show", "single", "--revision", "7"): ("single has no revision 7", None),
        ("diff", "single"): only,
        ("diff", "single", "1", "7"): ("single has no revision 7", None),
        ("diff", "single", "0", "1"): ("single has no revision 0", None),
    }
    outcomes = await asyncio.gather(*(site.cli("definitions", *what) for what in asked))
    for done, (error, hint) in zip(outcomes, asked.values(), strict=True):
        assert (done.code, done.out) == (2, ""), done
        # It may say more, as what is meant or what there is.
        assert done.err.startswith(f"error: {error}"), done
        assert hint is None or f"  hint: {hint}\n" in done.err
    done = await site.cli("definitions", "show", "singel", "-o", "json")
    assert done.code == 2 and done.json()["error"]["message"].startswith(unknown)


async def test_retire(site: Site, tmp_path: Path) -> None:
    await deployed(site, tmp_path / "gone.yaml", text("gone"))
    said(await site.cli("definitions", "retire", "gone"), "gone  retired: it takes no starts\n")
    again, started, pinned = await asyncio.gather(
        site.cli("definitions", "retire", "gone", "-o", "json"),
        site.cli("start", "gone", "--id", "gone-1"),
        site.cli("start", "gone", "--id", "gone-1", "--revision", "1"),
    )
    assert (again.code, again.json()) == (
        0,
        {"name": "gone", "alias": None, "retired": True, "moved": False},
    )
    back = "`temporal-dsl definitions promote gone --to N` takes it back"
    for done in (started, pinned):
        wrong(done, "gone is retired and takes no starts", back)
    with pytest.raises(WorkflowFailureError) as caught:
        await site.client.execute_workflow("gone", id="gone-2", task_queue="dsl")
    assert isinstance(cause := caught.value.cause, ApplicationError)
    assert (cause.type, cause.message) == (
        "UnknownDefinition",
        f"gone is retired and takes no starts; {back}",
    )
    said(
        await site.cli("definitions", "promote", "gone", "--to", "1"), "gone  live -> revision 1\n"
    )
    done = await site.cli("start", "gone", "--id", "gone-1", "--follow")
    assert (done.code, json.loads(done.out)) == (0, 1), done
    site.handle("gone-1")
    site.handle("gone-2")


async def test_one_that_was_never_deployed(site: Site) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await site.client.execute_workflow("never", id="never-1", task_queue="dsl")
    assert isinstance(cause := caught.value.cause, ApplicationError)
    assert cause.type == "UnknownDefinition"
    assert cause.message == (
        "no definition named never is deployed; `temporal-dsl deploy FILE` deploys one"
    )
