"""What changed between two definitions, and which inputs the new one refuses."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from dsl.difference import differences, input_breaks
from dsl.loader import load_files, load_text
from dsl.model.definition import Definition, canonical

EXAMPLES = Path(__file__).parents[2] / "examples"
ONE = "steps: [{id: a, value: 1}]\n"


def load(text: str) -> Definition:
    loaded = load_text(f"dsl: 1\nname: order\n{text}")
    assert loaded.ok, loaded.diagnostics
    return loaded.definitions[0]


def steps(text: str) -> str:
    """A definition with some steps."""
    return f"steps: [{text}]\n"


A, B, C, D = (f"{{id: {name}, value: 1}}" for name in "abcd")
CHARGE = "{id: charge, activity: pay%s}"
LONG = "x" * 70

CASES: dict[str, tuple[str, str, list[str]]] = {
    # The definition.
    "nothing": (ONE, ONE, []),
    "the same durations": ("timeout: 60s\n" + ONE, "timeout: 1m\n" + ONE, []),
    "a duration of the definition": (
        "timeout: 1m\n" + ONE,
        "timeout: 2m\n" + ONE,
        ["definition: timeout 1m -> 2m"],
    ),
    "a duration from an expression": (
        "timeout: 1m\n" + ONE,
        "timeout: ${ input.time }\n" + ONE,
        ['definition: timeout 1m -> "${ input.time }"'],
    ),
    "the first variable": (ONE, "vars: {count: 0}\n" + ONE, ["definition: vars.count added: 0"]),
    "variables": (
        "vars: {a: 1, b: {x: 1, y: [1]}, c: 1}\n" + ONE,
        "vars: {a: true, b: {x: 2, y: [1, 2]}, d: null}\n" + ONE,
        [
            "definition: vars.a 1 -> true",
            "definition: vars.b.x 1 -> 2",
            "definition: vars.b.y [1] -> [1,2]",
            "definition: vars.d added: null",
            "definition: vars.c removed, was 1",
        ],
    ),
    "the order of keys": (
        "vars: {a: 1, b: 1}\n" + ONE,
        "vars: {b: 1, a: 1}\n" + ONE,
        ["definition: vars has its keys in another order"],
    ),
    "no variables, written": (
        ONE,
        "vars: {}\n" + ONE,
        ["definition: the same, written differently"],
    ),
    "messages to others and search attributes": (
        steps("{id: a, send_signal: go, workflow_id: w, payload: {n: 1}}")
        + "catch: [{do: [{set_search_attributes: {A: 1, B: x}}]}]\n",
        steps("{id: a, send_signal: stop, workflow_id: v, payload: {n: 2}}")
        + "catch: [{do: [{set_search_attributes: {A: 2, C: null}}]}]\n",
        [
            'step a: send_signal "go" -> "stop"',
            'step a: workflow_id "w" -> "v"',
            "step a: payload.n 1 -> 2",
            "step !catch[0].set_search_attributes[0]: set_search_attributes.A 1 -> 2",
            "step !catch[0].set_search_attributes[0]: set_search_attributes.C added: null",
            'step !catch[0].set_search_attributes[0]: set_search_attributes.B removed, was "x"',
        ],
    ),
    "how it is undone": (
        "compensation: {order: reverse, timeout: 1m}\n" + ONE,
        "compensation: {order: parallel, timeout: 2m}\noutput: null\n" + ONE,
        [
            "definition: output added: null",
            'definition: compensation.order "reverse" -> "parallel"',
            "definition: compensation.timeout 1m -> 2m",
        ],
    ),
    "an input": (
        ONE,
        "input: {type: object}\n" + ONE,
        ['definition: input added: {"type":"object"}'],
    ),
    "properties of the input": (
        "input: {required: [a, c, e], properties: {a: {}, b: {type: string}, c: {}, e: {}}}\n"
        + ONE,
        "input: {additionalProperties: false, required: [b, d, e],"
        " properties: {a: {}, b: {type: number}, d: {type: boolean}, e: {}}}\n" + ONE,
        [
            "input: additionalProperties added: false",
            "input: property a is not required any more",
            'input: property b: type "string" -> "number"',
            "input: property b is required now",
            'input: property d added: {"type":"boolean"}',
            "input: property d is required now",
            "input: property c removed, was {}",
        ],
    ),
    "properties inside the input": (
        "input: {properties: {lines: {items: {properties: {price: {minimum: 1}}}}}}\n" + ONE,
        "input: {properties: {lines: {items: {properties: {price: {minimum: 2}}}}}}\n" + ONE,
        ["input: property lines[].price: minimum 1 -> 2"],
    ),
    "signals": (
        "signals: {old: {}, ok: {description: x, payload: {properties: {by: {}}}}}\n" + ONE,
        "signals: {ok: {payload: {required: [by], properties: {by: {}}}}, new: {}}\n" + ONE,
        [
            "signal ok: property by is required now",
            'signal ok: description removed, was "x"',
            "definition: signals.new added: {}",
            "definition: signals.old removed, was {}",
        ],
    ),
    "handlers": (
        "signals: {a: {do: [{id: x, activity: p}, {sleep: 1s}]}, b: {}, d: {}}\n" + ONE,
        "signals: {a: {do: [{id: x, activity: q}, {sleep: 2s}]}, b: {do: [{id: y, value: 1}]},"
        " c: {do: [{id: z, value: 1}]}, d: {}}\n" + ONE,
        [
            "definition: signals.c added: {}",
            'step x: activity "p" -> "q"',
            "step a#.sleep[1]: sleep 1s -> 2s",
            "definition: do of signal b added",
            "definition: do of signal c added",
        ],
    ),
    "a step that moves into a handler": (
        "signals: {a: {do: [{value: 1}]}}\n" + steps(f"{A}, {B}"),
        "signals: {a: {do: [{value: 1}, {id: b, value: 1}]}}\n" + steps(A),
        ["step b moved into signal a after a#.value[0]"],
    ),
    "updates": (
        "updates: {old: {do: [{value: 1}]}, u: {payload: {required: [a]},"
        " validate: [{check: 'true', message: a}], do: [{id: x, value: 1}], output: 1}}\n" + ONE,
        "updates: {u: {payload: {required: [b]}, validate: [{check: 'true', message: b}],"
        " do: [{id: x, value: 2}]}}\n" + ONE,
        [
            "update u: property b is required now",
            "update u: property a is not required any more",
            'update u: validate [{"check":"true","message":"a"}] -> '
            '[{"check":"true","message":"b"}]',
            "update u: output removed, was 1",
            "definition: updates.old removed, was {}",
            "step x: value 1 -> 2",
            "definition: do of update old removed",
        ],
    ),
    "queries": (
        ONE,
        "queries: {a: 1, b: {x: '${ input.y }'}}\n" + ONE,
        ["definition: queries.a added: 1", 'definition: queries.b added: {"x":"${ input.y }"}'],
    ),
    # Fields of steps.
    "retries": (
        steps(CHARGE % ", retry: {maximum_attempts: 3, initial_interval: 1s}"),
        steps(CHARGE % ", retry: {maximum_attempts: 5, initial_interval: 2s}"),
        [
            "step charge: retry.maximum_attempts 3 -> 5",
            "step charge: retry.initial_interval 1s -> 2s",
        ],
    ),
    "arguments": (
        steps(CHARGE % ', with: {amount: "${ input.amount }", timeout: 1s, old: 1}'),
        steps(CHARGE % ', with: {amount: "${ input.total }", timeout: 2s, "a b": {c.d: 1}}'),
        [
            'step charge: with.amount "${ input.amount }" -> "${ input.total }"',
            'step charge: with.timeout "1s" -> "2s"',
            'step charge: with["a b"] added: {"c.d":1}',
            "step charge: with.old removed, was 1",
        ],
    ),
    "another activity": (
        steps("{id: a, activity: pay}"),
        steps("{id: a, activity: pay2}"),
        ['step a: activity "pay" -> "pay2"'],
    ),
    "defaults are in the steps that take them": (
        steps(CHARGE % ""),
        "defaults: {start_to_close_timeout: 30s}\n" + steps(CHARGE % ""),
        ["step charge: start_to_close_timeout 1m -> 30s"],
    ),
    "a condition": (
        steps("{id: a, if: input.x > 1, sleep: 1m}"),
        steps("{id: a, if: input.x > 2, sleep: 2m}"),
        ['step a: if "input.x > 1" -> "input.x > 2"', "step a: sleep 1m -> 2m"],
    ),
    "long values are cut": (
        steps("{id: a, value: 1}"),
        steps(f"{{id: a, value: {LONG}}}"),
        ['step a: value 1 -> "' + "x" * 56 + "..."],
    ),
    "long values are cut round what changed": (
        steps(f"{{id: a, value: {LONG}1}}"),
        steps(f"{{id: a, value: {LONG}2}}"),
        [f'step a: value ...{"x" * 20}1" -> ...{"x" * 20}2"'],
    ),
    "one item of a long list": (
        steps(f"{{id: a, value: [{LONG}, 1]}}"),
        steps(f"{{id: a, value: [{LONG}, 2]}}"),
        ["step a: value[1] 1 -> 2"],
    ),
    # Steps of a list.
    "added and removed": (
        steps(f"{A}, {B}, {C}"),
        steps(f"{D}, {A}, {{id: e, value: 1}}, {C}"),
        ["step d added before a", "step b removed", "step e added after a"],
    ),
    "all of them are others": (steps(A), steps(B), ["step a removed", "step b added"]),
    "moved forward": (steps(f"{A}, {B}, {C}"), steps(f"{B}, {C}, {A}"), ["step a moved after c"]),
    "moved back": (steps(f"{A}, {B}, {C}"), steps(f"{C}, {A}, {B}"), ["step c moved before a"]),
    "moved and changed": (
        steps(f"{A}, {B}, {C}"),
        steps(f"{C.replace('1', '2')}, {A}, {B}"),
        ["step c moved before a", "step c: value 1 -> 2"],
    ),
    "another kind": (
        steps("{id: x, value: 1, timeout: 1m}"),
        steps("{id: x, activity: payments.charge, timeout: 2m, retry: {maximum_attempts: 1}}"),
        ["step x: is activity payments.charge now, was value", "step x: timeout 1m -> 2m"],
    ),
    "one without an id in the middle": (
        steps("{value: 1}, {sleep: 1s}, {value: 3}, {sleep: 2s}"),
        steps("{value: 1}, {sleep: 1s}, {value: 2}, {value: 3}, {sleep: 2s}"),
        ["step value[2] added after sleep[1]"],
    ),
    "one without an id less": (
        steps("{value: 1}, {value: 2}, {value: 3}"),
        steps("{value: 1}, {value: 3}"),
        ["step value[1] removed"],
    ),
    "one without an id changed, after a new one": (
        steps(f"{{sleep: 1s}}, {A}, {{sleep: 2s}}"),
        steps(f"{{value: 0}}, {{sleep: 1s}}, {A}, {{sleep: 3s}}"),
        ["step value[0] added before sleep[1]", "step sleep[3]: sleep 2s -> 3s"],
    ),
    "one without an id moved": (
        steps(f"{{sleep: 1s}}, {A}, {B}"),
        steps(f"{A}, {B}, {{sleep: 1s}}"),
        ["step sleep[2] moved after b"],
    ),
    "one without an id of another kind": (
        steps(f"{A}, {{sleep: 1s}}, {B}"),
        steps(f"{A}, {{value: 1}}, {B}"),
        ["step sleep[1] removed", "step value[1] added after a"],
    ),
    "blocks without ids are known by what is inside": (
        steps(f"{{do: [{A}]}}, {{do: [{B}]}}"),
        steps("{do: [{id: b, value: 2}]}"),
        ["step do[0] removed", "step b: value 1 -> 2"],
    ),
    # Blocks.
    "inside a block": (
        steps(f"{{id: group, do: [{A}, {{sleep: 1s}}]}}, {{do: [{{do: [{{sleep: 1s}}]}}]}}"),
        steps(f"{{id: group, do: [{A}, {B}, {{sleep: 2s}}]}}, {{do: [{{do: [{{sleep: 2s}}]}}]}}"),
        [
            "step b added after a",
            "step group.sleep[2]: sleep 1s -> 2s",
            "step do[1].do[0].sleep[0]: sleep 1s -> 2s",
        ],
    ),
    "into a block": (
        steps(f"{A}, {B}, {{id: group, do: [{C}]}}"),
        steps(f"{B}, {{id: group, do: [{C}, {A}]}}"),
        ["step a moved into group after c"],
    ),
    "into a new block, with a new one": (
        steps(f"{A}, {B}"),
        steps(f"{{id: group, do: [{A}, {C}, {{id: b, value: 2}}]}}"),
        [
            "step group added",
            "step a moved into group",
            "step b moved into group after c",
            "step b: value 1 -> 2",
        ],
    ),
    "out of a removed block": (
        steps(f"{{id: group, do: [{A}, {C}]}}, {B}"),
        steps(f"{A}, {B}"),
        ["step group removed", "step a moved out of group before b"],
    ),
    "a block becomes a loop": (
        steps(f"{{id: all, do: [{{sleep: 1s}}, {A}], timeout: 1m}}"),
        steps(f"{{id: all, foreach: [1], do: [{{sleep: 2s}}, {A}], timeout: 1m}}"),
        ["step all: is foreach now, was do", "step all.sleep[0]: sleep 1s -> 2s"],
    ),
    "a block becomes branches": (
        steps(f"{{id: all, do: [{A}, {B}]}}"),
        steps(f"{{id: all, parallel: {{x: [{A}], y: [{B}, {C}]}}}}"),
        [
            "step all: is parallel now, was do",
            "step a moved into branch x of all",
            "step b moved into branch y of all",
            "step c added after b",
        ],
    ),
    "options of loops": (
        steps("{id: l, foreach: input.a, as: x, do: [{sleep: 1s}], concurrency: 2}"),
        steps("{id: l, foreach: input.b, as: y, do: [{sleep: 1s}], join: any}"),
        [
            'step l: join added: "any"',
            'step l: foreach "input.a" -> "input.b"',
            'step l: as "x" -> "y"',
            "step l: concurrency removed, was 2",
        ],
    ),
    # Branches.
    "inside branches": (
        steps(f"{{id: all, parallel: {{x: [{A}, {{sleep: 1s}}], y: [{B}]}}}}"),
        steps(f"{{id: all, parallel: {{x: [{{sleep: 2s}}], y: [{B}, {A}]}}}}"),
        ["step all.x.sleep[0]: sleep 1s -> 2s", "step a moved into branch y of all after b"],
    ),
    "branches": (
        steps(f"{{id: all, parallel: {{x: [{A}], y: [{B}], z: [{C}]}}}}"),
        steps(f"{{id: all, parallel: {{y: [{B}], x: [{A}], new: [{C}, {D}]}}}}"),
        [
            "step all: branch new added",
            "step c moved into branch new of all",
            "step all: branch z removed",
            "step all: branches are in another order",
        ],
    ),
    # Switch.
    "inside cases": (
        steps(f"{{id: s, switch: [{{when: input.a, do: [{A}]}}, {{else: [{{sleep: 1s}}]}}]}}"),
        steps("{id: s, switch: [{when: input.b, do: [{id: a, value: 2}]}, {else: [{sleep: 2s}]}]}"),
        [
            'step s: switch[0].when "input.a" -> "input.b"',
            "step a: value 1 -> 2",
            "step s.1.sleep[0]: sleep 1s -> 2s",
        ],
    ),
    "cases": (
        steps(
            f"{{id: s, switch: [{{when: input.a, do: [{A}]}}, {{when: input.b, do: [{B}]}},"
            f" {{when: input.c, do: [{C}]}}]}}"
        ),
        steps(
            f"{{id: s, switch: [{{when: input.c, do: [{{id: c, value: 2}}]}},"
            f" {{when: input.a, do: [{A}]}}, {{else: [{B}, {D}]}}]}}"
        ),
        [
            "step s: switch[0] moved before switch[1]",
            "step c: value 1 -> 2",
            'step s: switch[2].when removed, was "input.b"',
            "step d added after b",
        ],
    ),
    "a case more": (
        steps(f"{{id: s, switch: [{{when: input.a, do: [{A}]}}]}}"),
        steps(f"{{id: s, switch: [{{when: input.b, do: [{B}]}}, {{when: input.a, do: [{A}]}}]}}"),
        ['step s: switch[0] added: {"when":"input.b","do":[{"id":"b","value":1}]}'],
    ),
    "a case less": (
        steps(f"{{id: s, switch: [{{when: input.b, do: [{B}]}}, {{when: input.a, do: [{A}]}}]}}"),
        steps(f"{{id: s, switch: [{{when: input.a, do: [{A}]}}]}}"),
        ['step s: switch[0] removed, was {"when":"input.b","do":[{"id":"b","value":1}]}'],
    ),
    "a block becomes a switch, and the other way round": (
        steps(f"{{id: x, do: [{A}]}}, {{id: y, switch: [{{else: [{B}]}}]}}"),
        steps(f"{{id: x, switch: [{{else: [{A}, {C}]}}]}}, {{id: y, value: 1}}"),
        [
            "step x: is switch now, was do",
            "step a moved into switch[0] of x",
            "step c added after a",
            "step y: is value now, was switch",
            "step b removed",
        ],
    ),
    # Catch and finally.
    "catch": (
        steps(
            CHARGE % f", catch: [{{errors: [Timeout], do: [{A}, {{sleep: 1s}}]}}, {{output: 1}}]"
        ),
        steps(
            CHARGE % ", catch: [{errors: [Timeout, Declined], do: [{id: a, value: 2},"
            " {sleep: 2s}]}, {output: 2}]"
        ),
        [
            'step charge: catch[0].errors ["Timeout"] -> ["Timeout","Declined"]',
            "step a: value 1 -> 2",
            "step charge!catch[0].sleep[1]: sleep 1s -> 2s",
            "step charge: catch[1].output 1 -> 2",
        ],
    ),
    "the first catch": (
        steps(A),
        steps("{id: a, value: 1, catch: [{when: error.type == 'X', output: 1}]}"),
        ['step a: catch[0] added: {"when":"error.type == \'X\'","output":1}'],
    ),
    "catch of the definition": (
        f"steps: [{A}]\ncatch: [{{do: [{B}]}}]\n",
        f"steps: [{A}]\ncatch: [{{errors: [X], do: [{B}, {C}]}}, {{errors: [Y], output: 1}}]\n",
        [
            'definition: catch[0].errors added: ["X"]',
            "step c added after b",
            'definition: catch[1] added: {"errors":["Y"],"output":1}',
        ],
    ),
    "finally": (
        steps("{id: a, value: 1, finally: [{sleep: 1s}]}, {id: b, value: 1}"),
        steps(
            f"{{id: a, value: 1, finally: [{{sleep: 2s}}]}}, {{id: b, value: 1, finally: [{C}]}}"
        ),
        ["step a!finally.sleep[0]: sleep 1s -> 2s", "step c added in finally of b"],
    ),
    "finally of the definition": (
        f"steps: [{A}, {B}]\nfinally: [{{sleep: 1s}}, {C}]\n",
        f"steps: [{A}, {C}]\nfinally: [{{sleep: 2s}}, {B}]\n",
        [
            "step c moved out of finally of the definition after a",
            "step !finally.sleep[0]: sleep 1s -> 2s",
            "step b moved into finally of the definition after !finally.sleep[0]",
        ],
    ),
    # Compensations.
    "a compensation": (
        steps(CHARGE % ", compensate: {activity: refund, with: {n: 1}, catch: [{output: 1}]}"),
        steps(CHARGE % ", compensate: {activity: back, with: {n: 2}, catch: [{output: 2}]}"),
        [
            'step charge: compensate.activity "refund" -> "back"',
            "step charge: compensate.with.n 1 -> 2",
            "step charge: compensate.catch[0].output 1 -> 2",
        ],
    ),
    "a compensation added": (
        steps("{id: a, value: 1}"),
        steps("{id: a, value: 1, compensate: {value: 2}}"),
        ['step a: compensate added: {"value":2}'],
    ),
    "a compensation removed": (
        steps("{id: a, value: 1, compensate: [{id: u, value: 2}, {value: 3}]}"),
        steps("{id: a, value: 1}"),
        ['step a: compensate removed, was [{"value":2,"id":"u"},{"value":3}]'],
    ),
    "a compensation of another kind": (
        steps("{id: a, value: 1, compensate: {activity: refund}}"),
        steps("{id: a, value: 1, compensate: {value: 1}}"),
        ["step a: compensate is value now, was activity refund"],
    ),
    "a compensation of several steps": (
        steps("{id: x, value: 1, compensate: [{id: u, value: 1}, {sleep: 1s}, {id: v, value: 1}]}"),
        steps("{id: x, value: 1, compensate: [{sleep: 2s}, {do: [{id: u, value: 2}]}]}"),
        [
            "step x: compensate.sleep[0]: sleep 1s -> 2s",
            "step x: compensate.v removed",
            "step x: compensate.do[1] added after sleep[0]",
            "step x: compensate.u moved into do[1]",
            "step x: compensate.u: value 1 -> 2",
        ],
    ),
    "steps in a block that undoes": (
        steps("{id: x, value: 1, compensate: {do: [{id: u, value: 1}, {sleep: 1s}]}}"),
        steps("{id: x, value: 1, compensate: {do: [{id: u, value: 2}, {sleep: 2s}]}}"),
        [
            "step x: compensate.u: value 1 -> 2",
            "step x: compensate.sleep[1]: sleep 1s -> 2s",
        ],
    ),
    "an id that went into a compensation": (
        steps(f"{A}, {{id: x, value: 1, compensate: [{B}]}}"),
        steps(f"{{id: x, value: 1, compensate: [{B}, {A}]}}"),
        ["step a removed", "step x: compensate.a added after b"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_differences(name: str) -> None:
    old, new, lines = CASES[name]
    assert differences(load(old), load(new)) == lines


@pytest.mark.parametrize("name", CASES)
def test_whatever_changed_is_said_once(name: str) -> None:
    old, new = (load(text) for text in CASES[name][:2])
    for before, after in itertools.product((old, new), repeat=2):
        lines = differences(before, after)
        assert bool(lines) == (canonical(before) != canonical(after))
        assert len(set(lines)) == len(lines)
        assert all(len(line.splitlines()) == 1 for line in lines)


def test_examples_differ_from_others_only() -> None:
    files = [path for path in EXAMPLES.rglob("*.yaml") if "\nsteps:" in path.read_text()]
    definitions = load_files(files).definitions
    assert len(definitions) > 3
    for old, new in itertools.product(definitions, repeat=2):
        assert bool(differences(old, new)) == (canonical(old) != canonical(new))


def test_many_steps_take_no_long_time() -> None:
    many = ", ".join(f"{{value: {n % 7}}}" for n in range(2_000))
    assert differences(load(steps(many)), load(steps(f"{A}, {many}, {B}"))) == [
        "step a added before value[1]",
        "step b added after value[2000]",
    ]


BREAKS: dict[str, tuple[str, str, list[str]]] = {
    "no schemas": ("null", "null", []),
    "no schema any more": ("{type: object, required: [a]}", "null", []),
    "the first schema": (
        "null",
        "{type: object, required: [a], properties: {a: {type: string}}}",
        [
            "`input` must be a map now, was anything",
            "`input.a` is required now and has no default",
        ],
    ),
    "another description": ("{description: a}", "{description: b, title: c}", []),
    # Properties.
    "required": (
        "{properties: {amount: {}}}",
        "{required: [amount, id], properties: {amount: {}}}",
        [
            "`input.amount` is required now and has no default",
            "`input.id` is required now and has no default",
        ],
    ),
    "required, with a default": ("{}", "{required: [a], properties: {a: {default: 1}}}", []),
    "required before": ("{required: [a]}", "{required: [a]}", []),
    "a default less": (
        "{required: [a], properties: {a: {default: 1}}}",
        "{required: [a], properties: {a: {}}}",
        ["`input.a` is required and has no default any more"],
    ),
    "a new property": ("{properties: {}}", "{properties: {a: {type: string}}}", []),
    "a rule for what is required": (
        "{required: [a]}",
        "{required: [a], properties: {a: {type: string}}}",
        ["`input.a` must be a text now, was anything"],
    ),
    "a new property where others had a rule": (
        "{additionalProperties: {type: number}}",
        "{properties: {a: {type: string}}}",
        ["`input.a` must be a text now, was a number"],
    ),
    "a removed property": ("{properties: {a: {}}}", "{properties: {}}", []),
    "a removed property, and no others": (
        "{additionalProperties: false, properties: {tier: {}, b: {}}}",
        "{additionalProperties: false, properties: {b: {}}}",
        ["`input.tier` is not taken any more"],
    ),
    "no others now": (
        "{properties: {tier: {}, b: {}}}",
        "{additionalProperties: false, properties: {b: {}}}",
        ["`input.tier` is not taken any more", "`input` takes no other properties any more"],
    ),
    "a rule for others": (
        "{additionalProperties: {type: [string, number]}}",
        "{additionalProperties: {type: string}}",
        ["`input.*` must be a text now, was a text or a number"],
    ),
    "others again": ("{additionalProperties: false}", "{}", []),
    "a property that nothing fits": (
        "{properties: {a: true, b: false}}",
        "{properties: {a: false, b: {type: string}}}",
        ["`input.a` is not taken any more"],
    ),
    "nested": (
        "{properties: {order: {properties: {lines: {type: array,"
        " items: {properties: {price: {type: number}}}}}}}}",
        "{properties: {order: {properties: {lines: {type: array,"
        " items: {required: [price], properties: {price: {type: number, minimum: 0}}}}}}}}",
        [
            "`input.order.lines[].price` is required now and has no default",
            "`input.order.lines[].price` must be 0 or more now",
        ],
    ),
    "the first rule for items": (
        "{type: array}",
        "{type: array, items: {type: string}}",
        ["`input[]` must be a text now, was anything"],
    ),
    # Types.
    "another type": (
        "{properties: {id: {type: number}}}",
        "{properties: {id: {type: string, minLength: 1}}}",
        ["`input.id` must be a text now, was a number"],
    ),
    "a wider type": ("{type: integer}", "{type: number}", []),
    "one more type": ("{type: string}", "{type: [string, 'null']}", []),
    "a narrower type": (
        "{type: number}",
        "{type: integer, minimum: 1}",
        [
            "`input` must be a whole number now, was a number",
            "`input` must be 1 or more now",
        ],
    ),
    "a type less": (
        "{type: [string, 'null']}",
        "{type: string}",
        ["`input` must be a text now, was a text or null"],
    ),
    "the type of known values": ("{enum: [a, b]}", "{type: string, enum: [a, b, c]}", []),
    # Values.
    "values": (
        "{properties: {tier: {enum: [silver, gold, 1]}}}",
        "{properties: {tier: {enum: [silver]}}}",
        ['`input.tier` no longer takes "gold", 1'],
    ),
    "values and their type": (
        "{enum: [a, 1, null]}",
        "{type: string, enum: [a, null]}",
        ["`input` no longer takes 1, null"],
    ),
    "more values": ("{enum: [a]}", "{enum: [b, a]}", []),
    "values for the first time": (
        "{type: string}",
        "{type: string, enum: [a, b]}",
        ['`input` must be one of "a", "b" now'],
    ),
    "one value": ("{enum: [a, b]}", "{const: a}", ['`input` no longer takes "b"']),
    "one value for the first time": ("{}", "{const: 1}", ["`input` must be 1 now"]),
    "both values of a boolean": ("{type: boolean}", "{enum: [true, false]}", []),
    "a boolean": (
        "{properties: {a: {}, b: {enum: [x, true]}, c: {type: boolean}}}",
        "{properties: {a: {type: boolean}, b: {type: boolean}, c: {type: string}}}",
        [
            "`input.a` must be true or false now, was anything",
            '`input.b` no longer takes "x"',
            "`input.c` must be a text now, was true or false",
        ],
    ),
    "any value": ("{enum: [a, b]}", "{type: string}", []),
    # Bounds.
    "narrower numbers": (
        "{type: number, minimum: 1, exclusiveMaximum: 9}",
        "{type: number, exclusiveMinimum: 1, maximum: 8}",
        [
            "`input` must be more than 1 now, was 1 or more",
            "`input` must be 8 or less now, was less than 9",
        ],
    ),
    "wider numbers": (
        "{type: number, exclusiveMinimum: 1, maximum: 8, multipleOf: 2}",
        "{type: number, minimum: 1, exclusiveMaximum: 9}",
        [],
    ),
    "narrower texts": (
        "{type: string, minLength: 1, pattern: a, format: date}",
        "{type: string, minLength: 2, maxLength: 3, pattern: b, format: email}",
        [
            "`input` must have 2 or more characters now, was 1",
            "`input` must have 3 or fewer characters now",
            '`input` must match "b" now, was "a"',
            '`input` must have the format "email" now, was "date"',
        ],
    ),
    "wider texts": (
        "{type: string, minLength: 2, maxLength: 3, pattern: b, format: email}",
        "{type: string, minLength: 0, maxLength: 4}",
        [],
    ),
    "narrower lists": (
        "{type: array, maxItems: 5}",
        "{type: array, minItems: 1, maxItems: 4, uniqueItems: true}",
        [
            "`input` must have 1 or more items now",
            "`input` must have 4 or fewer items now, was 5",
            "`input` has a new rule `uniqueItems`",
        ],
    ),
    "bounds of what it never took": (
        "{type: string}",
        "{type: [string, number, array, object], minimum: 1, minItems: 1, required: [a]}",
        [],
    ),
    # Parts put together.
    "fewer alternatives": (
        "{anyOf: [{type: string}, {type: number}]}",
        "{anyOf: [{type: string}]}",
        ["`input` has another rule `anyOf`"],
    ),
    "more alternatives": ("{anyOf: [{minimum: 1}]}", "{anyOf: [{minimum: 1}, {maximum: 0}]}", []),
    "more conditions": ("{}", "{allOf: [{minimum: 1}]}", ["`input` has a new rule `allOf`"]),
    "fewer conditions": ("{allOf: [{minimum: 1}], not: {const: 1}}", "{}", []),
    "another condition": (
        "{not: {const: 1}}",
        "{not: {const: 2}}",
        ["`input` has another rule `not`"],
    ),
    # References.
    "inside a reference": (
        "{properties: {a: {$ref: '#/$defs/T'}}, $defs: {T: {type: number}}}",
        "{properties: {a: {$ref: '#/$defs/T'}}, $defs: {T: {type: string}}}",
        ["`input.a` must be a text now, was a number"],
    ),
    "a reference in an alternative": (
        "{anyOf: [{$ref: '#/$defs/T'}], $defs: {T: {type: number}}}",
        "{anyOf: [{$ref: '#/$defs/T'}], $defs: {T: {type: string}}}",
        ["`input` has another rule `anyOf`"],
    ),
    "a schema that holds itself": (
        "{$ref: '#/$defs/T', $defs: {T: {properties: {in: {$ref: '#/$defs/T'}, v: {}}}}}",
        "{$ref: '#/$defs/T', $defs: {T: {required: [v], items: {$ref: '#/$defs/T'},"
        " properties: {in: {$ref: '#/$defs/T'}, v: {}}}}}",
        [
            "`input.v` is required now and has no default",
            "`input[].v` is required now and has no default",
        ],
    ),
    "a reference to itself": ("{$ref: '#'}", "{$ref: '#'}", []),
}


@pytest.mark.parametrize("name", BREAKS)
def test_input_breaks(name: str) -> None:
    old, new, lines = BREAKS[name]
    before: dict[str, Any] | None = yaml.safe_load(old)
    after: dict[str, Any] | None = yaml.safe_load(new)
    assert input_breaks(before, after) == lines
    assert input_breaks(before, before) == []
    assert input_breaks(after, after) == []
