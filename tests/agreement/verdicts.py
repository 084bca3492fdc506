"""What the two say of a document: the front end, and the published JSON Schema.

Both must refuse the same structures. What a JSON Schema cannot say is the front end's alone:

- DSL0xx and DSL108 are about the text and its size;
- a duration over 100 years (DSL201): a sum is no pattern;
- an `else` that is not the last case (DSL107): items know nothing of their place in a list;
- DSL203 inside expressions, the rest of DSL3xx and of DSL4xx, DSL5xx, DSL6xx: expressions, types,
  and what parts of a definition say of others (ids, references, variables, signals);
- in a JSON Schema (DSL204) a reference to nothing, or in a circle; a `pattern` that is no regular
  expression: that is a format, and formats are not checked; a `default` that its own schema
  refuses (DSL205);
- DSL206 and other warnings stop nothing.

And one thing is the library's: `$` in a regular expression of Python, which it uses, also matches
before a line break at the end. Editors have it from JavaScript, which is what the standard wants.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry

from dsl.loader import load_text

__all__ = ["refused_by_the_front_end", "refused_by_the_schema"]

_FILE = Path(__file__).parents[2] / "schemas" / "workflow.schema.json"
_VALIDATOR: Any = Draft202012Validator(json.loads(_FILE.read_text()), registry=Registry())

_STRUCTURAL = frozenset(
    (
        "DSL005",  # the document is no map
        *("DSL101", "DSL102", "DSL103", "DSL104", "DSL105", "DSL106", "DSL107", "DSL109"),
        *("DSL201", "DSL202", "DSL203", "DSL204"),
        "DSL307",  # an expression that is not text
        "DSL406",  # an activity without an id
        "DSL408",  # break or continue outside a loop
    )
)
"""The codes of what both must find, but for these:"""
_BEYOND = (
    *("there is nothing at", "there is no `$anchor`", "back to itself", "regular expression"),
    "cannot name a variable",
)
_LAST = "`else` must be the last case"


def refused_by_the_front_end(data: Any) -> list[str] | None:
    """What is wrong with the structure of a document, as the front end says it.

    Returns:
        None where there is an `else` that is not the last case, or there are too many steps: what
        else is wrong is not said then, so that nothing can be compared.
    """
    diagnostics = load_text(json.dumps(data, ensure_ascii=False)).diagnostics
    found = [f"{one.code} {one.message}" for one in diagnostics if one.code in _STRUCTURAL]
    too_large = any(one.code == "DSL108" for one in diagnostics)
    if too_large or any(_LAST in said for said in found):
        return None
    return [said for said in found if not any(words in said for words in _BEYOND)]


def refused_by_the_schema(data: Any) -> list[str]:
    """What is wrong with a document, as the JSON Schema says it."""
    return [f"{error.json_path} {error.message[:200]}" for error in _VALIDATOR.iter_errors(data)]
