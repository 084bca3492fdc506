"""What holds of whatever is said, of any text."""

from __future__ import annotations

import re
from itertools import pairwise

from dsl.diagnostics import CODES, Diagnostic

__all__ = ["foreign_words", "has_a_place", "in_order", "underlined"]

_FOREIGN = re.compile(
    r"""
    pydantic | jsonschema | PyYAML | Traceback | Exception | Error\b | NoneType | validat(?!e\b)
    | \b(dict|str|int|bool|float|list|tuple|None|True|False)\b\ (type|object|instance)
    | \b(tokens?|scalar|sequence|stream|simple\ key|document\ start)\b
    | \b(flow|block)\ (mapping|sequence|collection|end)\b
    | is\ not\ valid\ under | should\ not\ be\ valid | is\ not\ of\ type | is\ too\ (short|long)$
    | required\ property | dditional\ properties | non-empty | does\ not\ contain\ items
    | [Ii]nput\ should\ be | Leaf | StepBase | Mapping | <class | \bdsl\.\w | 0x[0-9a-f]{6}
    """,
    re.VERBOSE,
)
"""What only the libraries under it say, or the names of its parts."""
_QUOTED = re.compile(r'`[^`]*`|"[^"]*"')


def underlined(diagnostic: Diagnostic) -> str:
    """The text that is shown as the place of a mistake."""
    return diagnostic.source.text[diagnostic.span.start : diagnostic.span.end]


def foreign_words(diagnostic: Diagnostic) -> list[str]:
    """Words that are not the author's; what is quoted from the definition may be any."""
    said = [diagnostic.message, diagnostic.hint or "", *(one.message for one in diagnostic.related)]
    shown = underlined(diagnostic)
    bare = (_QUOTED.sub("", words.replace(shown, "") if shown else words) for words in said)
    return [found.group() for words in bare if (found := _FOREIGN.search(words))]


def has_a_place(diagnostic: Diagnostic) -> bool:
    """Whether it, and what explains it, has a place inside the text, and something to say."""
    return diagnostic.code in CODES and all(
        one.message.strip() and 0 <= one.span.start <= one.span.end <= len(one.source.text)
        for one in (diagnostic, *diagnostic.related)
    )


def in_order(diagnostics: list[Diagnostic]) -> bool:
    """Whether they stand in the order of the text, and none twice."""
    ordered = all(one.order() <= other.order() for one, other in pairwise(diagnostics))
    return ordered and len({(d.code, d.message, d.span) for d in diagnostics}) == len(diagnostics)
