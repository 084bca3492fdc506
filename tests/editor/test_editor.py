"""What an editor shows of the JSON Schema, by the language server that most editors use."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsl.steps import KINDS
from tests.agreement.corpus import documents
from tests.agreement.verdicts import refused_by_the_schema
from tests.cli.support import EXAMPLE, ROOT, cli
from tests.editor.server import PROGRAM, Completion, Server

NODE = shutil.which("node")
if NODE is None:
    pytest.skip("there is no Node", allow_module_level=True)
if not PROGRAM.is_file():
    pytest.skip("there is no yaml-language-server: see .ci/run", allow_module_level=True)

SCHEMA = ROOT / "schemas" / "workflow.schema.json"
HEAD = "dsl: 1\nname: sample\nsteps:\n"
KIND_KEYS = ", ".join(f"`{kind.kind}`" for kind in KINDS)


@pytest.fixture(scope="session")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows two schemas, and the network only as a proxy where nobody may call."""
    knowing = tmp_path_factory.mktemp("schemas") / "order.schema.json"
    done = cli("schema", "--activities", EXAMPLE / "activities.py")
    assert done.code == 0, done
    knowing.write_text(done.out)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        server = Server(str(NODE), {"plain": SCHEMA, "order": knowing}, address)
        yield server
        server.close()
        with pytest.raises(BlockingIOError):
            proxy.accept()


def at_cursor(completions: list[Completion]) -> dict[str, Completion]:
    labels = [one.label for one in completions]
    assert len(labels) == len(set(labels)), "something is offered twice"
    return {one.label: one for one in completions}


def test_the_server_is_the_one_that_is_pinned() -> None:
    wanted = json.loads((Path(__file__).parent / "package.json").read_text())
    there = json.loads((PROGRAM.parents[1] / "package.json").read_text())
    assert wanted["dependencies"] == {there["name"]: there["version"]}


# Completion.


@pytest.mark.parametrize("typed", ["  - ‸", "  - id: a\n    ‸\n", "  - id: a\n    acti‸\n"])
def test_a_step_without_a_kind_is_offered_every_kind(editor: Server, typed: str) -> None:
    offered = at_cursor(editor.completions("plain", HEAD + typed))
    assert {kind.kind for kind in KINDS} | {"if", "timeout", "compensate"} <= offered.keys()
    assert not {"with", "collect", "maximum_attempts", "steps"} & offered.keys()
    assert "Runs an activity." in offered["activity"].documentation
    assert "```yaml\n- id: charge\n" in offered["activity"].documentation
    for kind in KINDS:
        assert offered[kind.kind].documentation, kind.kind


@pytest.mark.parametrize(
    ("step", "own", "others"),
    [
        ("activity: a", ["with", "task_queue", "heartbeat_timeout", "retry"], ["do", "collect"]),
        ("foreach: input.items", ["do", "as", "collect", "losers", "vars"], ["with", "where"]),
        ("wait_signal: go", ["where", "count", "fresh", "timeout"], ["do", "args"]),
        ("value: 1", ["output", "catch", "finally", "pivot"], ["vars", "with", "do"]),
    ],
)
def test_a_step_is_offered_the_keys_of_its_kind(
    editor: Server, step: str, own: list[str], others: list[str]
) -> None:
    offered = at_cursor(editor.completions("plain", f"{HEAD}  - id: a\n    {step}\n    ‸\n"))
    assert set(own) <= offered.keys()
    assert not set(others) & offered.keys()
    assert not {kind.kind for kind in KINDS} - {"do"} & offered.keys()
    for label in own:
        assert offered[label].documentation, label
        assert offered[label].text.startswith(f"{label}:"), offered[label]


def test_a_kind_comes_with_what_it_needs(editor: Server) -> None:
    offered = at_cursor(editor.completions("plain", f"{HEAD}  - id: a\n    ‸\n"))
    assert offered["foreach with steps"].text == "foreach: $2\nas: $3\ndo:\n  - $4"
    assert offered["break"].text == "break: true"
    offered = at_cursor(editor.completions("plain", "‸"))
    assert offered["definition"].text.startswith("dsl: 1\nname: ")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("  - foreach: a\n    join: ‸\n", {"all", "any"}),
        ("  - foreach: a\n    on_error: ‸\n", {"fail_fast", "wait_all"}),
        ("  - sleep: ‸\n", {"30s", "1h30m", "2d"}),
        ("  - value: 1\n    pivot: ‸\n", {"true", "false"}),
        ("  - value: 1\ninput:\n  type: ‸\n", {"object", "string", "array"}),
        ("  - value: 1\non_fault: ‸\n", {"suspend", "fail"}),
    ],
)
def test_values_are_offered(editor: Server, text: str, values: set[str]) -> None:
    assert values <= at_cursor(editor.completions("plain", HEAD + text)).keys()


def test_activities_are_offered_by_name(editor: Server) -> None:
    offered = at_cursor(editor.completions("order", f"{HEAD}  - id: a\n    activity: ‸\n"))
    assert offered.keys() == {
        *("inventory.release", "inventory.reserve", "mail.send", "payments.charge"),
        *("payments.refund", "shipping.cancel", "shipping.ship"),
    }
    assert offered["inventory.reserve"].documentation.startswith("Take the items of an order")


@pytest.mark.parametrize("place", ["    ", "    compensate:\n      "])
def test_arguments_of_an_activity_are_offered(editor: Server, place: str) -> None:
    column = " " * len(place.rpartition("\n")[2])
    text = f"{HEAD}  - id: a\n    activity: shipping.ship\n{place}"
    if "compensate" not in place:
        text = f"{HEAD}  - id: a\n{place}"
    text += f"activity: inventory.reserve\n{column}with:\n{column}  ‸\n"
    offered = at_cursor(editor.completions("order", text))
    assert offered.keys() == {"order_id", "items", "inventory.reserve"}
    assert offered["inventory.reserve"].text == "order_id: $1\nitems:\n  - "


# Hover.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  - id: a\n    act‸ivity: b\n", "Its output is the activity's result."),
        ("  - id: a\n    activity: b\n    ti‸meout: 3s\n", "Default: no bound."),
        ("  - id: a\n    activity: b\n    ret‸ry: {when: a}\n", "Temporal's retry policy"),
        ("  - id: a\n    activity: b\n    retry: {wh‸en: a}\n", "A further attempt only if"),
        ("  - id: a\n    activity: b\n    compe‸nsate: {activity: c}\n", "How to undo the step"),
        ("  - id: a\n    activity: b\n    start_to_close_‸timeout: 3s\n", "else `60s`"),
        ("  - foreach: a\n    conc‸urrency: 3\n    do: [{value: 1}]\n", "one item of a `foreach`"),
        ("  - foreach: a\n    d‸o: [{value: 1}]\n", "They see it as `item`"),
        ("  - do: [{value: 1}]\n    fin‸ally: [{value: 1}]\n", "cancellation included"),
        ("  - switch: [{when: a, do: [{value: 1}]}, {el‸se: [{value: 1}]}]\n", "no case matched"),
        ("  - value: 1\nin‸put: {type: object}\n", "checked before the first step"),
        ("  - value: 1\ninput: {requ‸ired: [a]}\n", "properties that an object must have"),
        ("  - value: 1\nsignals: {go: {pay‸load: {}}}\n", "`pattern` and `patternProperties`"),
        ("  - value: 1\ncompensation: {regi‸ster: after}\n", "a step that may have acted"),
    ],
)
def test_a_key_says_what_it_means(editor: Server, text: str, shown: str) -> None:
    assert shown in editor.hover("plain", HEAD + text)


def test_an_activity_says_what_it_does(editor: Server) -> None:
    text = (
        f"{HEAD}  - id: a\n    activity: invent‸ory.reserve\n    with: {{order_id: a, items: []}}\n"
    )
    assert "Take the items of an order from the stock" in editor.hover("order", text)


# Diagnostics.

ONE_MISTAKE = {
    "  - id: a\n    activity: b\n    tmeout: 3s\n": "6:5 Property tmeout is not allowed.",
    "  - id: a\n    activty: b\n": "5:5 This is no key of a step. A step has one kind key: "
    f"{KIND_KEYS}.",
    "  - id: a\n    timeout: 3s\n": f"4:5 A step needs a kind key: {KIND_KEYS}.",
    "  - id: a\n    activity: b\n    sleep: 3s\n": "6:5 Property sleep is not allowed.",
    "  - activity: b\n": "4:5 An activity needs an `id`: it is its name in Temporal's history.",
    "  - foreach: a\n    do: [{valu: 1}]\n": "5:11 This is no key of a step. A step has one kind "
    f"key: {KIND_KEYS}.",
    "  - value: 1\n    catch: [{erors: [a]}]\n": "5:14 Property erors is not allowed.",
    "  - sleep: 30\n": "4:12 A duration has its unit: write `30s`.",
    "  - id: Charge\n    value: 1\n": "4:9 This is no name of a step: write it like `charge_card`.",
    "  - id: input\n    value: 1\n": "4:9 This is a reserved word.",
    "  - foreach: a\n    as: len\n    do: [{value: 1}]\n": (
        "5:9 This is a reserved word, or the name of a function."
    ),
    "  - text\n": '4:5 Incorrect type. Expected "step".',
    "  - break: true\n": "4:5 There is no loop here to leave.",
    "  - value: 1\n    finally: [{return: 1}]\n": "5:16 This cannot stand in a `finally`.",
    "  - id: a\n    activity: b\n    with: {}\n    args: []\n": "7:5 `with` and `args` exclude one "
    "another.",
    "  - value: 1\ninput: {type: objekt}\n": "5:15 Value is not accepted. Valid values: "
    '"array", "boolean", "integer", "null", "number", "object", "string".',
}


@pytest.mark.parametrize("text", ONE_MISTAKE, ids=range(len(ONE_MISTAKE)))
def test_a_mistake_is_told_once(editor: Server, text: str) -> None:
    assert editor.diagnostics("plain", HEAD + text) == [ONE_MISTAKE[text]]


ONE_MISTAKE_WITH_ACTIVITIES = {
    "inventory.reserv\n": '5:15 Value is not accepted. Valid values: "inventory.release", ',
    "inventory.reserve\n": "4:5 `inventory.reserve` needs arguments, in `with`: `order_id`, ",
    "mail.send\n    with: {too: a, to: b, subject: c}\n": "6:12 Property too is not allowed.",
    "inventory.reserve\n    with: {order_id: a, items: b}\n": "6:32 This must be a list, or a "
    "template",
}


@pytest.mark.parametrize("text", ONE_MISTAKE_WITH_ACTIVITIES, ids=range(4))
def test_a_mistake_in_the_use_of_an_activity_is_told_once(editor: Server, text: str) -> None:
    (said,) = editor.diagnostics("order", f"{HEAD}  - id: a\n    activity: {text}")
    assert said.startswith(ONE_MISTAKE_WITH_ACTIVITIES[text])


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*/workflow.yaml")), ids=str)
def test_nothing_is_said_of_the_examples(editor: Server, file: Path) -> None:
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=../../schemas/workflow.schema.json\n")
    assert editor.diagnostics_of(file) == []
    if file.parent == EXAMPLE:
        assert editor.diagnostics("order", text.partition("\n")[2]) == []


def test_the_editor_accepts_what_the_schema_accepts(editor: Server) -> None:
    """The schema is read by another validator there, with regular expressions of its own."""
    every = [(data, bool(refused_by_the_schema(data))) for data in documents().values()]
    some = [one for number, one in enumerate(every) if one[1] or number % 4 == 0]
    lines = [json.dumps(data, ensure_ascii=False) for data, _ in some]
    said = editor.diagnostics("plain", "\n---\n".join(lines))
    refused = {(int(one.split(":")[0]) - 1) // 2 for one in said}
    assert len(refused) > 40
    assert refused == {number for number, (_, refuse) in enumerate(some) if refuse}
