"""The scenarios as definitions. They are data, so they are made as data."""

from __future__ import annotations

import json
from typing import Any

from dsl.loader import load_text
from dsl.model.definition import Definition

__all__ = ["DEFINITIONS", "load_definitions"]

Json = dict[str, Any]


def _add(id: str, value: str, by: int | str) -> Json:
    return {"id": id, "activity": "bench.add", "with": {"value": f"${{ {value} }}", "by": by}}


def _chain(name: str, count: int) -> Json:
    """Activities one after the other, each with what the one before it gave."""
    steps = [_add("s0", "input.value", 1)]
    steps += [_add(f"s{n}", f"steps.s{n - 1}.output.value", 1) for n in range(1, count)]
    return {"name": name, "steps": steps, "output": f"${{ steps.s{count - 1}.output.value }}"}


def _ten() -> Json:
    branches = {f"b{n}": [_add(f"s{n}", "input.value", n)] for n in range(10)}
    outputs = [f"${{ steps.s{n}.output.value }}" for n in range(10)]
    return {"name": "ten", "steps": [{"parallel": branches}], "output": outputs}


def _loop() -> Json:
    body = [
        _add("add", "vars.total", 1),
        {"set": {"total": "${ steps.add.output.value }"}},
    ]
    return {
        "name": "loop",
        "vars": {"total": "${ input.value }"},
        "steps": [{"while": "vars.total < input.until", "do": body}],
        "output": "${ vars.total }",
    }


def _score(change: str, **more: Any) -> Json:
    return {**more, "set": {"score": f"${{ vars.score {change} }}"}}


def _round(n: int) -> list[Json]:
    """Twenty steps, five of them in cases; one is an activity, eleven are conditional."""
    net, rate, label = f"steps.net{n}.output", f"steps.rate{n}.output", f"steps.label{n}.output"
    size, parts = f"steps.size{n}.output", f"steps.parts{n}.output"
    return [
        _add(f"add{n}", "input.value", n),
        {"id": f"net{n}", "value": f"${{ steps.add{n}.output.value * 2 - {n} }}"},
        _score("+ 5", **{"if": f"{net} > 100 and input.active"}),
        {"if": 'input.tier == "gold"', "set": {"level": "gold"}},
        {"if": f'input.tier == "gold" and {net} > 1000', "set": {"level": "platinum"}},
        {"id": f"rate{n}", "value": '${ 3 if vars.level == "gold" else 1 }'},
        {
            "switch": [
                {"when": f"{rate} > 2", "do": [_score(f"+ {rate}")]},
                {"when": f"{rate} > 1", "do": [_score("+ 1")]},
                {"else": [_score("- 1")]},
            ]
        },
        {"if": "not input.active", "set": {"score": 0}},
        {"id": f"label{n}", "value": f"${{ vars.level }}-${{ {net} }}"},
        _score("+ 100", **{"if": f'{label} == "none"'}),
        _score("+ 2", **{"if": '"express" in input.tags'}),
        {"id": f"size{n}", "value": "${ len(input.tags) }"},
        {
            "switch": [
                {"when": f"{size} == 0", "do": [_score("+ 10")]},
                {"when": f"{size} < 5", "do": [_score(f"+ {size}")]},
            ]
        },
        {
            "id": f"parts{n}",
            "value": {
                "label": f"${{ {label} }}",
                "rate": f"${{ {rate} }}",
                "size": f"${{ {size} }}",
            },
        },
        _score("+ 1", **{"if": f"{parts}.rate == {size}"}),
    ]


def _conditions() -> Json:
    return {
        "name": "conditions",
        "vars": {"score": 0, "level": "none"},
        "steps": [step for n in range(5) for step in _round(n)],
        "output": {
            "score": "${ vars.score }",
            "level": "${ vars.level }",
            "label": "${ steps.label4.output }",
        },
    }


def _open() -> Json:
    chain = _chain("open", 5)
    chain["signals"] = {"over_now": {}}
    chain["steps"].append({"wait_signal": "over_now"})
    return chain


def _first(count: int) -> Json:
    """`count` activities; the run ends after the first, which tells when it began."""
    chain = _chain(f"first_{count}", count)
    chain["steps"][0] = {"id": "s0", "activity": "bench.clock", "with": {"value": 0}}
    chain["steps"].insert(1, {"if": "input.only_first", "return": "${ steps.s0.output.began }"})
    return chain


def _fan_out(batch: int) -> Json:
    """An activity for each of `input.items` items. Nothing reads what they give."""
    items = {
        "foreach": "range(input.items)",
        "batch": batch,
        "concurrency": 100,
        "do": [_add("add", "item", 1)],
    }
    end = {"id": "end", "value": "${ input.items }"}
    return {"name": f"fan_out_{batch}", "steps": [items, end], "output": "${ steps.end.output }"}


DEFINITIONS: dict[str, Json] = {
    one["name"]: {"dsl": 1, **one}
    for one in (
        _chain("five", 5),
        _ten(),
        _loop(),
        _conditions(),
        _chain("twenty", 20),
        {"name": "nothing", "steps": [{"value": 1}]},
        _open(),
        _first(10),
        _first(1000),
        _fan_out(100),
        _fan_out(500),
    )
}
"""By name."""


def load_definitions() -> list[Definition]:
    """All of them, checked."""
    text = "\n---\n".join(map(json.dumps, DEFINITIONS.values()))
    loaded = load_text(text, "benchmarks")
    if not loaded.ok:
        raise ValueError("\n".join(map(str, loaded.diagnostics)))
    return loaded.definitions
