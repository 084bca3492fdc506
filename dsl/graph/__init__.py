"""Pictures of definitions: Mermaid, SVG, HTML.

A definition becomes a tree of parts (`build`), which is written as Mermaid, or laid out
(`layout`, `scene`) and written as SVG.
"""

from __future__ import annotations

from enum import Enum
from typing import assert_never

from dsl.graph.build import picture
from dsl.graph.mermaid import mermaid
from dsl.graph.page import page
from dsl.graph.states import State, States, filled, states
from dsl.graph.svg import svg
from dsl.model.definition import Definition

__all__ = ["Format", "State", "States", "draw", "states"]


class Format(Enum):
    """What a picture is written as."""

    MERMAID = "mermaid"
    SVG = "svg"
    HTML = "html"


def draw(definition: Definition, format: Format, states: States | None = None) -> str:
    """A picture of a definition.

    Args:
        definition: It, in its normal form.
        format: What it is written as.
        states: Where a run of it stands, to colour it by.

    Returns:
        The text of a file, the same for the same arguments.
    """
    shown = picture(definition)
    if states is not None:
        states = filled(states, shown.body)
    match format:
        case Format.MERMAID:
            return mermaid(shown, states)
        case Format.SVG:
            return svg(shown, states)
        case Format.HTML:
            return page(shown, states)
        case _:
            assert_never(format)
