"""The pages of the reference: kinds, keys, expressions, codes. Made from what the checker uses."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from pydantic.fields import FieldInfo

from dsl.model.common import BodyStep, Model, StepBase
from dsl.model.definition import Definition
from dsl.reference.codes import Explanation, explanations
from dsl.reference.expressions import functions_page
from dsl.reference.markdown import block, page, paragraphs, table
from dsl.reference.words import MEANINGS, models_in, words
from dsl.steps import KINDS

__all__ = ["pages"]

_GROUPS = {
    "DSL0": "Reading the file",
    "DSL1": "Structure",
    "DSL2": "Values",
    "DSL3": "Expressions",
    "DSL4": "Names, references and flow",
    "DSL5": "Messages and activities",
    "DSL6": "Compensation",
}


def pages() -> dict[str, str]:
    """Each page of the reference by the name of its file."""
    return {
        "README.md": _index(),
        "kinds.md": _kinds(),
        "keys.md": _keys(),
        "functions.md": functions_page(),
        "codes.md": _codes(),
    }


def _index() -> str:
    return page(
        "Reference",
        paragraphs(
            "These pages are generated from what the checker itself uses, by `make schema`. For an "
            "overview of the language and the exact rules of compensation see "
            "[the language](../language.md); to begin, see [the tutorial](../tutorial.md)."
        ),
        table(
            ["", ""],
            [
                ("[Kinds of steps](kinds.md)", " ".join(_link(kind.kind) for kind in KINDS)),
                (
                    "[Keys](keys.md)",
                    "of every step, of a definition, of `retry`, `catch`, `compensation` and more",
                ),
                ("[Expressions](functions.md)", "names, operators, functions"),
                ("[Diagnostics](codes.md)", "what each code means: `temporal-dsl explain DSL101`"),
            ],
        ),
        "## Types",
        paragraphs("The words that stand for types in the tables:"),
        table(["type", "is"], [(word, meaning) for word, meaning in MEANINGS.items()]),
        paragraphs("Other words mean what they say. What stands in `code` is written so."),
    )


def _link(kind: str) -> str:
    return f"[`{kind}`](kinds.md#{kind})"


def _kinds() -> str:
    rows = [(f"[`{kind.kind}`](#{kind.kind})", _first(kind)) for kind in KINDS]
    return page(
        "Kinds of steps",
        paragraphs(
            "A step is a flat map: one kind key, whose value is the main thing, and options beside "
            "it. The options of each kind are below; every step may also have "
            "[the keys of every step](keys.md#every-step)."
        ),
        table(["kind", ""], rows),
        *(_kind(kind) for kind in KINDS),
    )


def _first(model: type[Model]) -> str:
    return " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())


def _kind(kind: type[StepBase]) -> str:
    fields = _fields(kind)
    parts = [f"## {kind.kind}", paragraphs(kind.__doc__ or ""), block("yaml", kind.example)]
    parts.append(_table((name, fields[name]) for name in _own_keys(kind)))
    if issubclass(kind, BodyStep):
        parts.append("It has a body: [`vars` and `compensation`](keys.md#a-step-with-a-body) too.")
    return "\n\n".join(parts)


def _own_keys(kind: type[StepBase]) -> list[str]:
    """The keys that not every step has: the kind's own first, then what it shares with some."""
    shared, inherited = _fields(BodyStep), _fields(kind.__base__ or StepBase)
    order = sorted(
        _fields(kind), key=lambda name: (name not in (kind.kind, "do"), name in inherited)
    )
    return [name for name in order if name not in shared]


def _keys() -> str:
    common = _fields(StepBase)
    body = {name: field for name, field in _fields(BodyStep).items() if name not in common}
    bodies = ", ".join(f"`{kind.kind}`" for kind in KINDS if issubclass(kind, BodyStep))
    parts = [
        *("## Every step", _table(common.items())),
        *("## A step with a body", f"{bodies} also have:", _table(body.items())),
        *("## A definition", _table(_fields(Definition).items())),
    ]
    for key, model in _inner().items():
        parts += [f"## {key}", paragraphs(model.__doc__ or ""), _table(_fields(model).items())]
    return page(
        "Keys",
        paragraphs("Which keys a kind of step has beside these is in [kinds of steps](kinds.md)."),
        *parts,
    )


@cache
def _inner() -> dict[str, type[Model]]:
    """The models inside definitions and steps, by the key that leads to them first."""
    found: dict[str, type[Model]] = {}
    waiting: list[type[Model]] = [Definition, *KINDS]
    while waiting:
        for key, field in _fields(waiting.pop(0)).items():
            for model in models_in(field):
                if model not in found.values():
                    found[f"{key} of a step" if key in found else key] = model
                    waiting.append(model)
    return found


def _fields(model: type[Model]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _table(fields: Iterable[tuple[str, FieldInfo]]) -> str:
    anchors = {model: key for key, model in _inner().items()}
    rows: list[tuple[str, str, str]] = []
    for name, field in fields:
        kind = words(field)
        for model in models_in(field):
            kind = f"[{kind}](keys.md#{anchors[model].replace(' ', '-')})"
        required = ", required" if field.is_required() else ""
        rows.append((f"`{name}`", kind + required, field.description or ""))
    return table(["key", "type", "meaning"], rows)


def _codes() -> str:
    known = explanations()
    parts: list[str] = []
    for prefix, title in _GROUPS.items():
        group = [one for id, one in known.items() if id.startswith(prefix)]
        rows = [(f"[{one.code.id}](#{one.code.id.lower()})", one.code.title) for one in group]
        parts += [f"## {title}", table(["code", ""], rows), *(_code(one) for one in group)]
    return page(
        "Diagnostics",
        paragraphs(
            "What `temporal-dsl validate` and all other commands say of a definition. A code keeps "
            "its meaning for ever. An error keeps the definition from running; a warning does not. "
            "`temporal-dsl explain DSL101` prints one of these."
        ),
        *parts,
    )


def _code(one: Explanation) -> str:
    parts = [f"### {one.code.id}", f"*{one.code.severity}:* {one.code.title}", paragraphs(one.why)]
    if one.fix:
        parts.append(paragraphs(one.fix))
    if one.activities:
        parts += ["With the activities", block("python", one.activities)]
    if one.wrong and one.right:
        parts += ["Wrong:", block("yaml", one.wrong), "Right:", block("yaml", one.right)]
    return "\n\n".join(parts)
