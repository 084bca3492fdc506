"""What each diagnostic means, with an example: the data is in `codes.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dsl.diagnostics import CODES, Code
from dsl.syntax import compose, read

__all__ = ["Explanation", "explanations"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why something is a mistake, and how it is mended.

    Attributes:
        code: The diagnostic.
        why: Why it is a mistake, in Markdown: a paragraph on one line.
        wrong: An example of it; None where it would be too long, or is no text.
        right: The same example, mended.
        fix: What to do, where there is no example.
        activities: The Python functions that the example calls, where they matter.
    """

    code: Code
    why: str
    wrong: str | None = None
    right: str | None = None
    fix: str | None = None
    activities: str | None = None


@cache
def explanations() -> dict[str, Explanation]:
    """Every explanation by the id of its code, in the order of the codes."""
    source, _ = read(Path(__file__).with_name("codes.yaml"))
    assert source is not None
    data: Any = compose(source)[0][0].data()
    texts = {id: {key: text.strip() for key, text in data[id].items()} for id in CODES}
    return {id: Explanation(CODES[id], **parts) for id, parts in texts.items()}
