"""The JSON Schema of the JSON Schemas that stand in definitions.

The published one is spread over eight documents that refer to one another dynamically, which
editors would have to fetch. Here it is one map, made of those documents, with our own rules.
"""

from __future__ import annotations

from typing import Any, cast

from jsonschema_specifications import REGISTRY  # pyright: ignore[reportMissingTypeStubs]

from dsl.model.rules import forbids

__all__ = ["schemas_of_schemas"]

_BASE = "https://json-schema.org/draft/2020-12/"
_ROOT = f"{_BASE}schema"
_ANYTHING = {"type": ["string", "number", "boolean", "object", "array", "null"]}
_DROPPED = ("$comment", "default", "deprecated", "format")
_KEYWORDS = {
    "additionalProperties": "`false` refuses properties that `properties` does not name; a schema "
    "is for their values.",
    "allOf": "The value fits all of these schemas.",
    "anyOf": "The value fits one or more of these schemas.",
    "const": "The only value there is.",
    "contains": "Some items of a list fit this schema: one, or as `minContains` says.",
    "contentEncoding": "How bytes are written as a text, `base64` for example. Not checked.",
    "contentMediaType": "What a text holds, `image/png` for example. Not checked.",
    "contentSchema": "What a text holds that is JSON. Not checked.",
    "default": "The value of a property that is not given.",
    "dependentRequired": "The properties that an object must have where it has another.",
    "dependentSchemas": "Schemas that an object fits where it has a property.",
    "deprecated": "`true`: not to be used any more.",
    "description": "What the value is.",
    "else": "The schema of what does not fit `if`.",
    "enum": "The values there are.",
    "examples": "Values, for those who read the schema.",
    "exclusiveMaximum": "Numbers are less.",
    "exclusiveMinimum": "Numbers are more.",
    "format": "What a text is, `date-time` for example. For those who read it: not checked.",
    "if": "A schema: what fits it fits `then` too, what does not fits `else`.",
    "items": "The schema of the items of a list, after those of `prefixItems`.",
    "maxContains": "A list has this many items at most that fit `contains`.",
    "maxItems": "A list has this many items at most.",
    "maxLength": "A text has this many characters at most.",
    "maxProperties": "An object has this many properties at most.",
    "maximum": "Numbers are this much at most.",
    "minContains": "A list has this many items at least that fit `contains`. Default 1.",
    "minItems": "A list has this many items at least.",
    "minLength": "A text has this many characters at least.",
    "minProperties": "An object has this many properties at least.",
    "minimum": "Numbers are this much at least.",
    "multipleOf": "Numbers are a multiple of this.",
    "not": "The value does not fit this schema.",
    "oneOf": "The value fits exactly one of these schemas.",
    "pattern": "A regular expression that is found in texts.",
    "patternProperties": "The schemas of the properties whose names have a regular expression.",
    "prefixItems": "The schemas of the first items of a list.",
    "properties": "The schemas of the properties of an object, by name.",
    "propertyNames": "The schema of the names of an object's properties.",
    "readOnly": "`true`: only the owner sets it. For those who read it: not checked.",
    "required": "The properties that an object must have.",
    "then": "The schema of what fits `if`.",
    "title": "What the value is called.",
    "type": "`string`, `number`, `integer`, `boolean`, `array`, `object` or `null`, or a list of "
    "these.",
    "unevaluatedItems": "The schema of the items that no other schema looked at.",
    "unevaluatedProperties": "The schema of the properties that no other schema looked at.",
    "uniqueItems": "`true`: no item of a list stands there twice.",
    "writeOnly": "`true`: it is a secret, and never shown.",
    "$anchor": "A name for this schema: `$ref: '#name'`.",
    "$comment": "A remark for those who write the schema.",
    "$defs": "Schemas to refer to: `$ref: '#/$defs/name'`.",
    "$id": "What this schema is called by others.",
    "$ref": "Another schema inside this one: `#/$defs/name`.",
    "$schema": "The version of JSON Schema.",
}
"""What editors show of a keyword. They do not suggest the others."""


def schemas_of_schemas() -> dict[str, Any]:
    """What goes under `$defs`: `JsonSchema`, and `MessageSchema` for what the workflow checks."""
    why = "Not in the schema of a message, which is checked inside the workflow."
    return {
        **_schema("JsonSchema"),
        **_schema("MessageSchema", **forbids("pattern", "patternProperties", why=why)),
    }


def _schema(name: str, **rule: Any) -> dict[str, Any]:
    anywhere = f"{name}OrBoolean"
    about = {"title": "JSON Schema", "errorMessage": "A JSON Schema is a map."}
    properties: dict[str, Any] = {}
    for uri in (_ROOT, *(_BASE + part["$ref"] for part in _document(_ROOT)["allOf"])):
        for key, schema in _document(uri)["properties"].items():
            properties[key] = _inlined(schema, uri, f"#/$defs/{anywhere}")
    for key, schema in properties.items():
        shown = {"description": _KEYWORDS[key]} if key in _KEYWORDS else {"doNotSuggest": True}
        properties[key] = (_ANYTHING if schema is True else schema) | shown
    for key in ("$ref", "$dynamicRef"):
        properties[key]["pattern"] = "^#"
        properties[key]["patternErrorMessage"] = "Only references inside it (`#`) are followed."
    return {
        name: {**about, "type": "object", "allOf": [{"$ref": f"#/$defs/{anywhere}"}]},
        anywhere: {
            **about,
            "type": ["object", "boolean"],
            "properties": dict(sorted(properties.items())),
            **({"allOf": [rule]} if rule else {}),
        },
    }


def _document(uri: str) -> dict[str, Any]:
    return cast("dict[str, Any]", REGISTRY.contents(uri))


def _inlined(part: Any, uri: str, anywhere: str) -> Any:
    """A part of a document without references to others, or into itself."""
    if isinstance(part, list):
        return [_inlined(item, uri, anywhere) for item in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    schema = cast("dict[str, Any]", part)
    if "$dynamicRef" in schema:
        return {"$ref": anywhere}
    inlined: dict[str, Any] = {}
    if "$ref" in schema:
        document, _, name = schema["$ref"].partition("#/$defs/")
        there = _BASE + document if document else uri
        inlined = _inlined(_document(there)["$defs"][name], there, anywhere)
    rest = {key: value for key, value in schema.items() if key not in ("$ref", *_DROPPED)}
    return inlined | {key: _inlined(value, uri, anywhere) for key, value in rest.items()}
