"""The JSON Schema of definitions, generated from the models.

Pydantic writes the schemas of the models; here they are put together for editors. Beside the
keywords of the standard there are some that editors know: `markdownDescription`, `errorMessage`,
`patternErrorMessage`, `defaultSnippets`, `doNotSuggest`.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from dsl.catalogue import Catalogue
from dsl.model.definition import Definition
from dsl.reference.arguments import know_activities
from dsl.reference.metaschema import schemas_of_schemas
from dsl.reference.places import place_root, place_schemas
from dsl.reference.steps import finish_kind, step_schemas
from dsl.steps import KINDS

__all__ = ["workflow_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODE: JsonSchemaMode = "validation"
_VALUES = frozenset(("const", "default", "defaultSnippets", "enum", "examples"))
"""Keywords whose values are no schemas."""


class _Generator(GenerateJsonSchema):
    """Without the titles that pydantic makes from names, and without its defaults."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"])

    def nullable_schema(self, schema: Any) -> Any:
        # `None` is how a model says that a key is not there. An author leaves the key out.
        return self.generate_inner(schema["schema"])

    def handle_ref_overrides(self, json_schema: Any) -> Any:
        # It would look up what is added here later.
        return json_schema

    def dict_schema(self, schema: Any) -> Any:
        # Without `patternProperties`: a name of another form is told as a wrong name.
        made: dict[str, Any] = {"type": "object", "errorMessage": "This must be a map."}
        if "keys_schema" in schema:
            made["propertyNames"] = self.generate_inner(schema["keys_schema"])
            made["additionalProperties"] = self.generate_inner(schema["values_schema"])
        if "min_length" in schema:
            made["minProperties"] = schema["min_length"]
        return made


def workflow_schema(activities: Catalogue | None = None) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a definition.

    Args:
        activities: The activities that there are; without, any name and any arguments are taken.
    """
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, _MODE) for model in (Definition, *KINDS)
    ]
    _, generated = models_json_schema(models, schema_generator=_Generator)
    definitions: dict[str, Any] = generated["$defs"]
    for name, schema in definitions.items():
        schema["title"] = name.lower()
        schema.pop("description", None)
    for kind in KINDS:
        definitions |= finish_kind(kind, definitions[kind.__name__])
    definitions |= _shared([definitions[kind.__name__] for kind in KINDS])
    definitions |= step_schemas(definitions) | place_schemas() | schemas_of_schemas()
    if activities is not None:
        know_activities(definitions, activities)
    root = definitions.pop("Definition")
    place_root(root["properties"])
    schema = {
        "$schema": _DIALECT,
        **({"$id": "urn:temporal-dsl:workflow:1"} if activities is None else {}),
        **root,
        "title": "definition",
        "$defs": dict(sorted(definitions.items())),
    }
    return _marked(schema)


def _shared(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Takes the keys out of schemas that several have, and refers to them."""
    count = Counter(
        (key, json.dumps(part)) for schema in schemas for key, part in schema["properties"].items()
    )
    shared: dict[str, Any] = {}
    for schema in schemas:
        for key, part in schema["properties"].items():
            if count[key, json.dumps(part)] > 1:
                assert shared.setdefault(key, part) == part
                schema["properties"][key] = {"$ref": f"#/$defs/{key}"}
    return shared


def _marked(part: Any) -> Any:
    """A schema that says of its descriptions that they are Markdown."""
    if isinstance(part, list):
        return [_marked(item) for item in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    schema = cast("dict[str, Any]", part)
    marked: dict[str, Any] = {}
    for key, value in schema.items():
        marked[key] = value if key in _VALUES else _marked(value)
        if key == "description" and isinstance(value, str):
            marked.setdefault("markdownDescription", schema.get("markdownDescription", value))
    return marked
