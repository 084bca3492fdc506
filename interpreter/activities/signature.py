"""From a function's type hints: a schema for its arguments, their binding, and plain results.

Arguments are JSON and are read as JSON, strictly: a text is no number, however it looks. What the
schema refuses when a definition is checked is what the binding refuses when it runs.
"""

import copy
import functools
import inspect
import typing
import warnings
from collections.abc import Sequence
from typing import Any

import pydantic
import pydantic_core
import typing_extensions
from pydantic.json_schema import GenerateJsonSchema
from temporalio.exceptions import ApplicationError

from .hints import bare, is_model, readable
from .loading import ActivityModuleError, FoundActivity
from .problems import explain, shown

__all__ = ["InvalidArguments", "Signature"]

_JSON = (dict, list, str, int, float, bool, type(None))
_SCALARS = (str, int, float, bool, type(None))


class _Schema(GenerateJsonSchema):
    """Without titles made up from names, and silent about defaults that JSON cannot hold."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class InvalidArguments(ApplicationError):
    """The arguments of a task do not fit the activity: no attempt will mend it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, type="dsl.InvalidArguments", non_retryable=True)


class Signature:
    """How one activity is called.

    Attributes:
        arguments: JSON Schema of the object given to `with`.
        result: JSON Schema of the result, or None where the function does not say.
    """

    arguments: dict[str, Any]
    result: dict[str, Any] | None

    def __init__(self, found: FoundActivity) -> None:
        """Read the hints of a function.

        Raises:
            ActivityModuleError: A hint is not defined, or is no type that JSON can hold.
        """
        self.name = found.name
        self._found = found
        self._hints = self._read_hints()
        parameters = list(inspect.signature(found.fn).parameters.values())
        by_kind = inspect.Parameter
        self._named = [
            each
            for each in parameters
            if each.kind not in (by_kind.VAR_POSITIONAL, by_kind.VAR_KEYWORD)
        ]
        self._rest = next((p for p in parameters if p.kind is by_kind.VAR_POSITIONAL), None)
        self._extra = next((p for p in parameters if p.kind is by_kind.VAR_KEYWORD), None)
        self._whole = len(parameters) == 1 == len(self._named) and is_model(
            self._hint(self._named[0])
        )
        self._adapter: pydantic.TypeAdapter[Any]
        self._rest_adapter: pydantic.TypeAdapter[Any] | None = None
        if self._whole:
            self._adapter = self._adapt(self._hint(self._named[0]), self._named[0].name)
        else:
            self._adapter = pydantic.TypeAdapter(self._model())
            if self._rest is not None:
                rest = self._hint(self._rest)
                self._rest_adapter = self._adapt(list[rest], self._rest.name)
        self.arguments = self._arguments_schema()
        self._known = list(self.arguments["properties"])
        self._accepted = {*self._known, *self._other_names()}
        self._secret = frozenset(
            name for name, each in self.arguments["properties"].items() if "writeOnly" in str(each)
        )
        self._result_adapter: pydantic.TypeAdapter[Any] | None = None
        self.result = None
        if "return" in self._hints and self._hints["return"] not in (
            typing.NoReturn,
            typing.Never,
        ):
            self._result_adapter = self._adapt(self._hints["return"], None)
            self.result = self._schema(self._result_adapter, None, "serialization")

    # --- reading hints

    def _read_hints(self) -> dict[str, Any]:
        fn: Any = self._found.fn
        if not inspect.isroutine(fn):
            fn = type(fn).__call__
        try:
            hints: dict[str, Any] = typing_extensions.get_type_hints(fn, include_extras=True)
            return {name: readable(hint) for name, hint in hints.items()}
        except Exception as error:
            raise ActivityModuleError(
                f"{self._found.where}: the type hints of {self.name} cannot be read: {error}"
            ) from error

    def _hint(self, parameter: inspect.Parameter) -> Any:
        return self._hints.get(parameter.name, Any)

    def _adapt(self, hint: Any, parameter: str | None) -> pydantic.TypeAdapter[Any]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return pydantic.TypeAdapter(hint)
        except (pydantic.errors.PydanticUserError, TypeError) as error:
            raise self._unusable(hint, parameter, error) from error

    def _unusable(self, hint: Any, parameter: str | None, error: Exception) -> ActivityModuleError:
        named = getattr(hint, "__qualname__", None) if isinstance(hint, type) else None
        what = f"the argument `{parameter}`" if parameter else "the result"
        why = "which is no type of data that JSON can hold"
        if isinstance(error, pydantic.errors.PydanticUserError):
            if error.code == "typed-dict-version":
                why = "which needs `typing_extensions.TypedDict` on Python before 3.12"
            elif error.code in ("class-not-fully-defined", "undefined-annotation"):
                why = "which names a type that is not defined when the module runs"
        return ActivityModuleError(
            f"{self._found.where}: {what} of {self.name} has the type `{named or hint}`, {why}"
        )

    def _model(self) -> Any:
        """A model with one field a parameter.

        Its fields have made-up names, because a parameter may be called what no field of a
        pydantic model may be (`_x`, `json`, `copy`); their aliases are the real ones.
        """
        fields: dict[str, Any] = {}
        for index, each in enumerate(self._named):
            default = ... if each.default is each.empty else each.default
            self._adapt(self._hint(each), each.name)  # finds which parameter is to blame
            fields[f"p{index}"] = (self._hint(each), pydantic.Field(default, alias=each.name))
        if self._extra is None:
            config = pydantic.ConfigDict(extra="forbid")
            return pydantic.create_model(self.name, __config__=config, **fields)
        hint = self._hint(self._extra)
        self._adapt(hint, self._extra.name)

        class Open(pydantic.BaseModel):
            model_config = pydantic.ConfigDict(extra="allow")
            __pydantic_extra__: dict[str, hint]  # pyright: ignore[reportIncompatibleVariableOverride, reportInvalidTypeForm]

        return pydantic.create_model(self.name, __base__=Open, **fields)

    # --- schemas

    def _schema(
        self,
        adapter: pydantic.TypeAdapter[Any],
        parameter: str | None,
        mode: typing.Literal["validation", "serialization"],
    ) -> dict[str, Any]:
        try:
            return adapter.json_schema(mode=mode, schema_generator=_Schema)
        except pydantic.errors.PydanticUserError as error:
            hint = self._hints.get(parameter or "return")
            raise self._unusable(hint, parameter, error) from error

    def _arguments_schema(self) -> dict[str, Any]:
        if self._whole:
            schema = self._schema(self._adapter, self._named[0].name, "validation")
        else:
            for each in self._named:  # finds which parameter is to blame
                self._schema(self._adapt(self._hint(each), each.name), each.name, "validation")
            schema = self._schema(self._adapter, None, "validation")
        definitions: dict[str, Any] = schema.pop("$defs", {})
        if (reference := schema.pop("$ref", None)) is not None:
            # A model that contains itself; `type` and `properties` belong to the top level.
            schema = copy.deepcopy(definitions[reference.rsplit("/", 1)[-1]]) | schema
        schema.pop("title", None)
        # The description of the activity is its function's, not its argument's.
        schema.pop("description", None)
        schema["type"] = "object"
        schema.setdefault("properties", {})
        schema.setdefault("required", [])
        schema.setdefault("additionalProperties", False)
        if definitions:
            schema["$defs"] = definitions
        return schema

    def _other_names(self) -> set[str]:
        """Names that a model accepts beside those in its schema."""
        if not self._whole:
            return set()
        hint = bare(self._hint(self._named[0]))
        fields: dict[str, Any] = getattr(hint, "__pydantic_fields__", {})
        config: dict[str, Any] = getattr(hint, "model_config", {})
        names: set[str] = set()
        for name, field in fields.items():
            if config.get("populate_by_name") or config.get("validate_by_name"):
                names.add(name)
            choices = getattr(field, "validation_alias", None)
            for choice in getattr(choices, "choices", [choices]):
                first = choice.path[0] if isinstance(choice, pydantic.AliasPath) else choice
                if isinstance(first, str):
                    names.add(first)
        return names

    # --- calling

    def bind(
        self, payloads: Sequence[Any], *, positional: bool = False
    ) -> tuple[list[Any], dict[str, Any]]:
        """Turn the payloads of a task into the arguments of a call.

        Args:
            payloads: Decoded JSON. None of them is an empty object; a single object holds the
                arguments by name (or is the one model); anything else is positional.
            positional: Whether a single object, too, is the first positional argument.

        Returns:
            What to call the function with.

        Raises:
            InvalidArguments: They do not fit.
        """
        rest: list[Any] = []
        if not payloads and not positional:
            given: Any = {}
        elif len(payloads) == 1 and isinstance(payloads[0], dict) and not positional:
            given = payloads[0]  # pyright: ignore[reportUnknownVariableType]
        else:
            given, rest = self._by_place(payloads)
        bound = self._validated(self._adapter, given)
        if self._whole:
            return [bound], {}
        named: dict[str, Any] = {
            each.name: getattr(bound, f"p{index}")
            for index, each in enumerate(self._named)
            if f"p{index}" in bound.model_fields_set
        }
        if self._rest_adapter is not None and self._rest is not None and rest:
            checked = self._validated(self._rest_adapter, rest, within=self._rest.name)
            return [named[each.name] for each in self._named] + checked, {}
        args: list[Any] = []
        for each in self._named:
            if each.kind is each.POSITIONAL_ONLY:
                # One that was left out between two that were not has to be filled in.
                args.append(named.pop(each.name, each.default))
        return args, named | (bound.model_extra or {})

    def _by_place(self, payloads: Sequence[Any]) -> tuple[Any, list[Any]]:
        names = [each.name for each in self._named]
        if len(payloads) > len(names) and self._rest is None:
            many = f"{len(payloads)} arguments were" if len(payloads) > 1 else "1 argument was"
            takes = ": ".join([f"{len(names)}", ", ".join(f"`{each}`" for each in names)])
            raise InvalidArguments(
                f"{many} given to {self.name}, which takes {takes if names else 'none'}"
            )
        if self._whole:
            (name,) = names
            if not payloads:
                return {}, []
            if not isinstance(payloads[0], dict):
                raise InvalidArguments(
                    f"argument `{name}` of {self.name}: must be an object, is {shown(payloads[0])}"
                )
            return payloads[0], []  # pyright: ignore[reportUnknownVariableType]
        return dict(zip(names, payloads, strict=False)), list(payloads[len(names) :])

    def _validated(
        self, adapter: pydantic.TypeAdapter[Any], given: Any, *, within: str | None = None
    ) -> Any:
        errors: list[pydantic_core.ErrorDetails] = []
        if within is None and self._whole and self.arguments["additionalProperties"] is False:
            for name in given:
                if name not in self._accepted:
                    errors.append(
                        {"type": "extra_forbidden", "loc": (name,), "msg": "", "input": None}
                    )
        try:
            bound = _read_json(adapter, given)
            if not errors:
                return bound
        except pydantic.ValidationError as error:
            errors += error.errors(include_url=False)
        if (whole_numbers := _with_whole_numbers(given, errors)) is not None:
            return self._validated(adapter, whole_numbers, within=within)
        if within is not None:
            given = {within: given}
            for each in errors:
                each["loc"] = (within, *each["loc"])
        message = explain(self.name, errors, given, self._known, self._secret)
        # `from None`: a cause would carry pydantic's wording into the workflow's history.
        raise InvalidArguments(message) from None

    def dump(self, value: Any) -> Any:
        """A result as plain JSON values: by the function's return type, else by what it is.

        Raises:
            ApplicationError: `dsl.InvalidResult`, where JSON cannot hold it.
        """
        if type(value) in _SCALARS and self._result_adapter is None:
            return value
        try:
            if self._result_adapter is not None:
                return self._result_adapter.dump_python(
                    value, mode="json", by_alias=True, warnings=False
                )
            return pydantic_core.to_jsonable_python(value, by_alias=True)
        except (pydantic_core.PydanticSerializationError, ValueError, RecursionError):
            # The act is done: another attempt would do it again and fail again.
            raise ApplicationError(
                f"the result of {self.name} cannot be written as JSON: it is, or contains, "
                f"something that is no data ({_culprit(value)})",
                type="dsl.InvalidResult",
                non_retryable=True,
            ) from None


def _read_json(adapter: pydantic.TypeAdapter[Any], given: Any) -> Any:
    values: Sequence[Any] = list(given.values() if isinstance(given, dict) else given)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if all(isinstance(each, _JSON) for each in values):
        try:
            text = pydantic_core.to_json(given, inf_nan_mode="constants")
        except (pydantic_core.PydanticSerializationError, UnicodeError):
            pass  # half a surrogate pair, which UTF-8 cannot hold
        else:
            return adapter.validate_json(text, strict=True)
    # A payload that was no JSON (bytes, a protobuf message) came as a Python object.
    return adapter.validate_python(given)


def _with_whole_numbers(given: Any, errors: Sequence[pydantic_core.ErrorDetails]) -> Any | None:
    """The arguments with 5.0 as 5 where a whole number is asked for; None if that mends nothing.

    An expression such as `${ input.total / 2 }` gives a float; JSON Schema, too, calls 5.0 an
    integer.
    """
    mended: Any = None
    for each in errors:
        value = each["input"]
        if each["type"] != "int_type" or not isinstance(value, float) or not value.is_integer():
            continue
        mended = copy.deepcopy(given) if mended is None else mended
        *path, last = each["loc"]
        try:
            holder = functools.reduce(lambda inner, part: inner[part], path, mended)
            if not isinstance(holder[last], float):
                return None
            holder[last] = int(holder[last])
        except (KeyError, IndexError, TypeError):
            return None  # inside a union a `loc` names branches of types
    return mended


def _culprit(value: Any) -> str:
    match value:
        case dict():
            children: Sequence[Any] = [*value.values()]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case list() | tuple() | set() | frozenset():
            children = [*value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case _:
            return f"a {type(value).__qualname__}"
    for each in children:
        try:
            pydantic_core.to_jsonable_python(each)
        except (ValueError, RecursionError):
            return _culprit(each)
    return f"a {type(value).__qualname__}"  # pyright: ignore[reportUnknownArgumentType]
