"""Questions about type hints."""

import dataclasses
import inspect
import sys
import types
import typing
from typing import Any

import pydantic
import typing_extensions

__all__ = ["bare", "is_model", "readable"]

_TypedDict: Any = typing_extensions.TypedDict


def bare(hint: Any) -> Any:
    """A hint without `Annotated` and without type arguments."""
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return typing.get_origin(hint) or hint


def is_model(hint: Any) -> bool:
    """Whether a lone parameter of this type takes the whole object given to `with`."""
    kind: Any = bare(hint)
    if not inspect.isclass(kind):
        return False
    if issubclass(kind, pydantic.BaseModel):
        return not issubclass(kind, pydantic.RootModel)
    return dataclasses.is_dataclass(kind) or typing_extensions.is_typeddict(kind)


def readable(hint: Any, seen: tuple[Any, ...] = ()) -> Any:
    """A hint with `typing.TypedDict`, which pydantic refuses before Python 3.12, made over."""
    if sys.version_info >= (3, 12) or any(hint is each for each in seen):
        return hint
    if typing.is_typeddict(hint) and type(hint).__module__ == "typing":
        fields: dict[str, Any] = {}
        for key, each in typing_extensions.get_type_hints(hint, include_extras=True).items():
            # `__required_keys__` does not see into annotations that are strings.
            optional = key in hint.__optional_keys__
            inner: Any = each
            if typing.get_origin(each) in (typing.Required, typing.NotRequired):
                optional = typing.get_origin(each) is typing.NotRequired
                (inner,) = typing.get_args(each)
            inner = readable(inner, (*seen, hint))
            fields[key] = typing_extensions.NotRequired[inner] if optional else inner
        return _TypedDict(hint.__name__, fields)
    origin: Any = typing.get_origin(hint)
    args = typing.get_args(hint)
    if origin is typing.Annotated:
        made = readable(args[0], seen)
        return hint if made is args[0] else typing.Annotated[(made, *args[1:])]
    replaced = tuple(readable(each, seen) for each in args)
    if all(new is old for new, old in zip(replaced, args, strict=True)):
        return hint
    if origin in (typing.Union, types.UnionType):
        return typing.Union[replaced]  # noqa: UP007
    return hint.copy_with(replaced) if hasattr(hint, "copy_with") else origin[replaced]
