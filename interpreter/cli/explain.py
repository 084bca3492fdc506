"""`explain`: what a diagnostic means."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from interpreter.cli.errors import CliError
from interpreter.cli.options import Settings

if TYPE_CHECKING:
    from dsl.reference.codes import Explanation

__all__ = ["register"]

_WIDTH = 80


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(explain)


def explain(
    context: typer.Context,
    code: Annotated[str, typer.Argument(help="A code, such as DSL101.", metavar="CODE")],
) -> None:
    """Say what a diagnostic means: why it is a mistake, an example, the same mended."""
    from dsl.diagnostics import did_you_mean
    from dsl.reference.codes import explanations
    from interpreter.cli import render

    known = explanations()
    explanation = known.get(code.upper())
    if explanation is None:
        ids = list(known)
        hint = did_you_mean(code.upper(), ids) or f"codes go from {ids[0]} to {ids[-1]}"
        raise CliError(f"there is no code `{code}`", hint=hint)
    settings = context.find_object(Settings) or Settings()
    if settings.json:
        parts = asdict(explanation)
        render.result(parts.pop("code") | parts)
    else:
        render.line("\n\n".join(_parts(explanation)))


def _parts(explanation: Explanation) -> Iterator[str]:
    code = explanation.code
    yield f"{code.id} {code.severity}: {code.title}"
    yield _filled(explanation.why)
    if explanation.fix:
        yield _filled(explanation.fix)
    examples = {
        "with the activities": explanation.activities,
        "wrong": explanation.wrong,
        "right": explanation.right,
    }
    for title, example in examples.items():
        if example:
            yield f"{title}:\n{textwrap.indent(example, '  ')}"


def _filled(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
