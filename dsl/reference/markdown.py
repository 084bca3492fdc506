"""Markdown for the pages of the reference."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

__all__ = ["block", "page", "paragraphs", "table"]

_WIDTH = 118


def page(title: str, *parts: str) -> str:
    """A page: its title, and its parts with empty lines between them."""
    return "\n\n".join([f"# {title}", *parts]) + "\n"


def paragraphs(text: str) -> str:
    """A docstring or any other text as paragraphs of one width."""
    parts = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    return "\n\n".join(
        textwrap.fill(part, _WIDTH, break_long_words=False, break_on_hyphens=False)
        for part in parts
    )


def block(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{textwrap.dedent(text).strip()}\n```"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; a `|` in a cell stays one."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines
    )
