"""Definitions to draw: those that there are, and random ones with nasty texts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from dsl.loader import load_files
from dsl.model.definition import Definition
from dsl.model.normal import normalise
from tests.support.conformance import read_cases

__all__ = ["EVERYTHING", "EXAMPLES", "NASTY", "ROOT", "definitions", "known", "read"]

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*/workflow.yaml"))
EVERYTHING = Path(__file__).with_name("everything.yaml")
"""A definition with every construct of the language."""

NASTY = (
    '"',
    'a"]:::x',
    "`code` **bold** _it_ ~~gone~~",
    "end",
    "1. one",
    "- one",
    "# heading",
    "#quot; #35; &lt;b&gt; &amp;",
    "<b>bold</b><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "]]> <!-- --> <![CDATA[",
    "%%{init: {}}%% \n%% comment",
    "x\n---\nflowchart LR\nclick n1 call alert()",
    "fa:fa-car $$x^2$$ \\n",
    "a --> b -.-> c ==> d",
    "((circle)) [[sub]] {{hex}} |pipe| >flag]",
    "ﬂ°°60¶ß",
    "日本語のとても長い説明文がここにありますので折り返されます",
    "👩‍💻 🎉 ñandú ‏עברית‏ \u202egnirts",
    "tab\tnul\x00 escape\x1b \ufffe \x7f \u2028",
    "W" * 500,
    "word " * 200,
    "${ input.x } and ${ '}' } $${ y }",
)
"""Texts that mean something to Mermaid, to XML or to HTML, or that are hard to fit in."""


def read(path: Path) -> Definition:
    """The first definition of a file."""
    loaded = load_files([path])
    assert loaded.ok, [f"{d.place} {d.message}" for d in loaded.diagnostics]
    return loaded.definitions[0]


@cache
def known() -> dict[str, Definition]:
    """Every definition that there is, by what to call it."""
    found = {path.parent.name: read(path) for path in EXAMPLES} | {"everything": read(EVERYTHING)}
    for case in read_cases(ROOT / "tests" / "conformance"):
        data = {"dsl": 1, "name": "case", **case.data["definition"]}
        found[case.id] = normalise(Definition.model_validate(data))
    return found


Data = dict[str, Any]
_Steps = st.SearchStrategy[list[Data]]

_texts = st.one_of(st.sampled_from(NASTY), st.text(min_size=1, max_size=60).filter(str.strip))
_words = st.sampled_from(("x", "input.amount > 1000", *NASTY))
_durations = st.sampled_from(("250ms", "90m", "2d", "${ input.wait }"))
_joins = st.sampled_from(("all", "any", 2))
_activities: st.SearchStrategy[Data] = st.fixed_dictionaries({"activity": _words})
_leaves: st.SearchStrategy[Data] = st.one_of(
    _activities,
    st.fixed_dictionaries({"activity": _words, "compensate": st.just({"sleep": "1s", "if": "x"})}),
    st.builds(lambda text: {"sleep": text}, _durations),
    st.just({"sleep_until": "2030-01-01T09:00:00Z"}),
    st.builds(
        lambda where, names: {"wait_signal": names, "where": where, "count": 2},
        _words,
        st.sampled_from(("go", ["go", "stop_it"])),
    ),
    st.builds(lambda text: {"wait_condition": text}, _words),
    st.builds(lambda text: {"value": {"a": text, "b": [text, 1]}}, _texts),
    st.builds(lambda text: {"set": {"x": text, "y": text}}, _texts),
    st.builds(lambda text: {"workflow": "a b", "with": {"a": text}}, _texts),
    st.builds(lambda text: {"send_signal": "a b", "workflow_id": text, "payload": text}, _texts),
    st.builds(lambda text: {"set_search_attributes": {"A": text, "b c": text}}, _texts),
    st.builds(lambda text: {"raise": "Oh", "message": text}, _texts),
    st.builds(lambda text: {"return": text}, _texts),
    st.sampled_from(({"rollback": "all"}, {"rollback": ["s1", "s2"]})),
    st.sampled_from(({"break": True}, {"continue": True}, {"raise": "${ error }"})),
)


def _bodies(steps: _Steps) -> st.SearchStrategy[Data]:
    """Steps of all kinds that have others inside."""
    return st.one_of(
        st.builds(lambda do: {"do": do}, steps),
        st.builds(
            lambda branches, join: {"parallel": branches, "join": join},
            st.dictionaries(st.sampled_from("abcd"), steps, min_size=1),
            _joins,
        ),
        st.builds(
            lambda do, items, join, most: {
                **{"foreach": items, "do": do, "join": join, "concurrency": most},
                **{"tolerated_failures": "5%"},
            },
            steps,
            st.sampled_from(("input.items", [1, 2])),
            _joins,
            st.integers(1, 9),
        ),
        st.builds(lambda do, text: {"while": text, "do": do}, steps, _words),
        st.builds(lambda do, text: {"until": text, "do": do, "max_iterations": 9}, steps, _words),
        st.builds(
            lambda cases, other: {
                "switch": [
                    *({"when": text, "do": do} for text, do in cases),
                    *([{"else": other}] if other else []),
                ]
            },
            st.lists(st.tuples(_words, steps), min_size=1, max_size=4),
            st.none() | steps,
        ),
    )


def _dressed(inner: st.SearchStrategy[Data]) -> st.SearchStrategy[Data]:
    """Steps round others, with the keys that all steps may have."""
    steps = st.lists(inner, min_size=1, max_size=3)
    clauses = st.one_of(
        st.builds(lambda do: {"errors": ["Timeout"], "do": do}, steps),
        st.builds(lambda when, output: {"when": when, "output": output}, _words, _texts),
    )
    keys: st.SearchStrategy[Data] = st.fixed_dictionaries(
        {},
        optional={
            "description": _texts,
            "if": _words,
            "timeout": _durations,
            "retry": st.just({"maximum_attempts": 3, "when": "error.type == 'X'"}),
            "catch": st.lists(clauses, min_size=1, max_size=2),
            "finally": steps,
            "compensate": st.lists(inner, min_size=1, max_size=2),
            "pivot": st.just(True),
        },
    )
    return st.builds(lambda body, more: body | more, _bodies(steps) | _activities, keys)


_steps: _Steps = st.lists(st.recursive(_leaves, _dressed, max_leaves=12), min_size=1, max_size=4)
_data: st.SearchStrategy[Data] = st.fixed_dictionaries(
    {"dsl": st.just(1), "name": st.sampled_from(("x", "a.b_-", "end")), "steps": _steps},
    optional={
        "description": _texts,
        "timeout": _durations,
        "output": _texts,
        "finally": _steps,
        "catch": st.builds(lambda do: [{"do": do}], _steps),
    },
)


def _read(data: Data) -> Definition:
    counter = iter(range(1, 10_000))

    def named(value: Any) -> Any:
        """The same with ids for those steps that need one, and for some others."""
        if isinstance(value, list):
            return [named(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(value, dict):
            return value
        found: Data = {key: named(one) for key, one in value.items()}  # pyright: ignore
        if "activity" in found or ("do" in found and "timeout" in found):
            found["id"] = f"s{next(counter)}"
        return found

    return normalise(Definition.model_validate(named(data)))


def definitions() -> st.SearchStrategy[Definition]:
    """Random definitions: their structure is right, their texts are anything."""
    return _data.map(_read)
