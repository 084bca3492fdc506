"""The JSON Schema of definitions, generated from the models.

Pydantic writes the schemas of the models; here they are put together for editors. A step is
told apart by its kind key with `if`/`then`, so that a mistake in a step gives the one error
that helps, where `anyOf` would give one for each kind.
"""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from dsl.model.common import BodyStep, StepBase
from dsl.model.definition import Definition
from dsl.steps import KINDS

__all__ = ["workflow_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODE: JsonSchemaMode = "validation"


class _Generator(GenerateJsonSchema):
    """Without the titles that pydantic makes from names, and without its defaults."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"])

    def nullable_schema(self, schema: Any) -> Any:
        # `None` is how a model says that a key is not there. An author leaves the key out.
        return self.generate_inner(schema["schema"])


def workflow_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a definition."""
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, _MODE) for model in (Definition, *KINDS)
    ]
    _, generated = models_json_schema(models, schema_generator=_Generator)
    definitions: dict[str, Any] = _names_first(generated["$defs"])
    for schema in definitions.values():
        schema.pop("title", None)
    for kind in KINDS:
        schema = definitions[kind.__name__]
        schema["description"] = _first_line(kind.__doc__)
        schema["properties"]["compensate"] = _one_or_many(schema["properties"]["compensate"])
    definitions["ActivityStep"] |= {
        "if": {"properties": {"activity": {"pattern": r"\$\{"}}},
        "then": {"required": ["activity", "one_of"]},
        "else": {"properties": {"one_of": False}},
    }
    definitions["Step"] = _step()
    root = definitions.pop("Definition")
    signals = root["properties"]["signals"]
    signals["additionalProperties"] = {
        "if": {"type": "null"},
        "else": signals["additionalProperties"],
    }
    return {
        "$schema": _DIALECT,
        "$id": "urn:temporal-dsl:workflow:1",
        "title": "Workflow definition",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _names_first(schema: Any) -> Any:
    """Maps with names of one form: a name of another form is told as a wrong name."""
    if isinstance(schema, list):
        return [_names_first(part) for part in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _names_first(part) for key, part in cast("dict[str, Any]", schema).items()}
    patterns = changed.pop("patternProperties", None)
    if patterns is not None:
        ((pattern, values),) = patterns.items()
        changed |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
    return changed


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def _one_or_many(schema: dict[str, Any]) -> dict[str, Any]:
    description = schema.pop("description")
    return {
        "description": description,
        "if": {"type": "array"},
        "then": schema,
        "else": {"$ref": "#/$defs/Step"},
    }


def _step() -> dict[str, Any]:
    """A step of any kind: the kind key decides which."""
    keys = [kind.kind for kind in KINDS]
    others = [key for key in keys if key != "do"]
    common = {field.alias or name for name, field in BodyStep.model_fields.items()}
    known = sorted(common | _keys_of_kinds())
    branches: list[dict[str, Any]] = []
    for kind in KINDS:
        condition: dict[str, Any] = {"required": [kind.kind]}
        if kind.kind == "do":
            condition["not"] = {"anyOf": [{"required": [key]} for key in others]}
        branches.append({"if": condition, "then": {"$ref": f"#/$defs/{kind.__name__}"}})
    return {
        "description": "A step: one kind key, whose value is the main thing, and options.",
        "type": "object",
        "properties": {name: {"description": _describe(name)} for name in known},
        "anyOf": [{"required": [key]} for key in keys],
        "allOf": branches,
    }


def _keys_of_kinds() -> set[str]:
    return {field.alias or name for kind in KINDS for name, field in kind.model_fields.items()}


def _describe(key: str) -> str:
    """What a key of a step means, for hovering and completion."""
    for model in (StepBase, BodyStep, *KINDS):
        for name, field in model.model_fields.items():
            if (field.alias or name) == key:
                return field.description or ""
    return ""
