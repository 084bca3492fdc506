"""What steps of every kind share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeAlias, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import (
    CoreSchema,
    ErrorDetails,
    InitErrorDetails,
    PydanticCustomError,
    core_schema,
)

from dsl.diagnostics import did_you_mean
from dsl.model.leaves import (
    DURATION,
    ERROR_TYPE,
    EXPRESSION,
    FLAG,
    STEP_ID,
    TEMPLATE,
    TEXT,
    VARIABLE,
    choice,
    count,
    describe,
    mistake,
)

__all__ = [
    "THERE",
    "AnyStep",
    "BodyStep",
    "Catch",
    "Compensation",
    "Model",
    "Retry",
    "StepBase",
    "steps_in",
]


class _StepType:
    """Metadata that makes a field of the model a step of any kind."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any) -> Any:
            from dsl.steps import read_step  # the kinds are made of what is in this module

            return read_step(value)

        return core_schema.no_info_plain_validator_function(read)

    @staticmethod
    def __get_pydantic_json_schema__(
        core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"$ref": "#/$defs/Step"}


if TYPE_CHECKING:
    AnyStep: TypeAlias = "StepBase"
else:
    AnyStep = Annotated[Any, _StepType]


class Model(BaseModel):
    """A map of the language with a fixed set of keys. Immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Tells an unknown key what the known ones are, while the model is at hand."""
        try:
            return handler(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                error.title, [cls._explained(detail) for detail in error.errors(include_url=False)]
            ) from None

    @classmethod
    def _explained(cls, detail: ErrorDetails) -> InitErrorDetails:
        kind, loc, context = detail["type"], detail["loc"], detail.get("ctx", {})
        if kind == "extra_forbidden" and len(loc) == 1:
            known = [field.alias or name for name, field in cls.model_fields.items()]
            hint = did_you_mean(str(loc[0]), known) or "known here: " + ", ".join(known)
            explained = PydanticCustomError("unknown_key", "unknown key", {"hint": hint})
        elif kind in ("mistake", "unknown_key"):
            explained = PydanticCustomError(kind, "{message}", context)
        else:
            return InitErrorDetails(type=kind, loc=loc, input=detail["input"], ctx=context)
        return InitErrorDetails(type=explained, loc=loc, input=detail["input"])

    def has(self, field: str) -> bool:
        """Whether the author wrote this key. Tells `output: null` from no `output`."""
        return field in self.model_fields_set


def _there(value: Any) -> Any:
    if value is None:
        raise mistake("DSL105", "must be a map, is nothing", "it has no value")
    return value


THERE = BeforeValidator(_there)
"""Makes a map that has nothing in it a mistake, as it is for every other key."""


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mistake("DSL105", f"must be a number, is {describe(value)}")
    if value < 1:
        raise mistake("DSL106", f"must be 1 or more, is {value}")
    return value


class Retry(Model):
    """Temporal's retry policy."""

    maximum_attempts: Annotated[int | str | None, count(1, "unlimited")] = Field(
        None,
        description="How often it is tried in all, the first time included. `unlimited`, the "
        "default, for no bound but the step's `timeout`.",
        examples=[3, "unlimited"],
    )
    initial_interval: Annotated[str | None, DURATION] = Field(
        None,
        description="The wait before the second attempt. Default `1s`.",
        examples=["1s", "500ms"],
    )
    backoff_coefficient: Annotated[float | None, BeforeValidator(_number)] = Field(
        None,
        description="How many times as long each wait is as the one before: 1 for waits that are "
        "all the same. Default 2.",
        json_schema_extra={"minimum": 1},
        examples=[2, 1.5],
    )
    maximum_interval: Annotated[str | None, DURATION] = Field(
        None,
        description="The longest wait. Default: 100 times `initial_interval`.",
        examples=["1m", "1h"],
    )
    non_retryable_error_types: list[Annotated[str, ERROR_TYPE]] = Field(
        default_factory=list[str],
        description="Types of errors after which there is no further attempt.",
        examples=[["CardDeclined"]],
    )
    when: Annotated[str | None, EXPRESSION] = Field(
        None,
        description="A further attempt only if this expression is true. Sees `error` and "
        "`attempt`, which counts from 1. An error that is not retryable stays final.",
        examples=['attempt < 3 or error.type == "Busy"'],
    )


class Compensation(Model):
    """How a block is undone."""

    order: Annotated[str | None, choice("reverse", "parallel")] = Field(
        None,
        description="`reverse`, the default: what was done last is undone first. `parallel`: all "
        "at once.",
    )
    register_: Annotated[str | None, choice("before", "after")] = Field(
        None,
        alias="register",
        description="`before`, the default: a step that may have acted is undone, one that timed "
        "out for example. `after`: only one that completed.",
    )
    on_failure: Annotated[str | None, choice("continue", "halt", "suspend")] = Field(
        None,
        description="After a compensation that failed: `continue` with the others (the default), "
        "`halt`, or `suspend` until an operator answers.",
    )
    timeout: Annotated[str | None, DURATION] = Field(
        None, description="How long the undoing may take as a whole. Default `24h`."
    )


class RunCompensation(Compensation):
    """How a run is undone."""

    on_parent_rollback: Annotated[bool | None, FLAG] = Field(
        None,
        description="`true`: a run that another one started with a `workflow` step, and that "
        "completed, is undone where that one is undone, unless the step has a `compensate` of its "
        "own.",
    )


class Catch(Model):
    """What to do about an error."""

    errors: list[Annotated[str, ERROR_TYPE]] = Field(
        default_factory=list[str],
        description="The types of errors it is for, as they were raised; `Timeout` for every "
        "timeout. Without it: any error. Cancellation is no error.",
        min_length=1,
        examples=[["Timeout"], ["CardDeclined"]],
    )
    when: Annotated[str | None, EXPRESSION] = Field(
        None,
        description="Only if this expression is true. Sees `error` (`type`, `message`, `details`, "
        "`step`). A key that is missing makes it false.",
        examples=['error.details.kind == "step"'],
    )
    do: list[AnyStep] = Field(
        default_factory=list[AnyStep],
        description="The steps to run, after what the step did was undone. They see `error` "
        "(`type`, `message`, `details`, `step`).",
        min_length=1,
    )
    output: Annotated[Any, TEMPLATE] = Field(
        None,
        description="The step's output then. Sees `error`. Default: the output of the last step "
        "of `do`.",
    )


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class StepBase(Model):
    """The keys that every step may have."""

    kind: ClassVar[str]
    """The key that makes a step one of this kind."""
    example: ClassVar[str]
    """One for the reference: a list of steps, or a definition without `dsl` and `name`."""

    id: Annotated[str | None, STEP_ID] = Field(
        None,
        description="A name for the step, unique in the definition: other steps read "
        "`steps.<id>.output`, `.status` and `.error`. Small letters, digits and `_`, a letter "
        "first. An activity needs one: it is its name in Temporal's history.",
        examples=["charge_card"],
    )
    description: Annotated[str | None, TEXT] = Field(
        None, description="What the step is for. A text, shown in Temporal's UI."
    )
    if_: Annotated[str | None, EXPRESSION] = Field(
        None,
        alias="if",
        description="An expression: the step is skipped unless it is true. A step that was skipped "
        "has no output.",
        examples=["input.amount > 1000"],
    )
    timeout: Annotated[str | None, DURATION] = Field(
        None,
        description="How long the whole step may take, all its attempts together. When it is over "
        "the step is cancelled, settles, and fails with an error of type `Timeout`. Default: no "
        "bound.",
    )
    output: Annotated[Any, TEMPLATE] = Field(
        None,
        description="Replaces the step's output: any value, with `${ expression }` in its texts. "
        "Sees the raw output as `result`.",
        examples=["${ result.id }"],
    )
    catch: list[Catch] = Field(
        default_factory=list[Catch],
        description="What to do about errors: a list, of which the first that matches is taken. "
        "What the step did is undone before. Its status becomes `caught`.",
        min_length=1,
    )
    finally_: list[AnyStep] = Field(
        default_factory=list[AnyStep],
        alias="finally",
        description="Steps that run however the step ended, cancellation included. They see "
        "`status` and `error`, which is null where there was none.",
        min_length=1,
    )
    compensate: Annotated[list[AnyStep], BeforeValidator(_one_or_many)] = Field(
        default_factory=list[AnyStep],
        description="How to undo the step once something fails after it: a step without an id, or "
        "a list of steps. Also done where the step may have acted, when it timed out for example. "
        "Sees `step` (`status`, `input`, `output`, `error`) and `error`.",
        min_length=1,
    )
    retry: Annotated[Retry | None, THERE] = Field(
        None,
        description="On an activity Temporal's retry policy, merged key by key over "
        "`defaults.retry`; without either it is tried again without end. On any other step: run "
        "it again, after what it did was undone; without it there is one try.",
    )
    pivot: Annotated[bool | None, FLAG] = Field(
        None,
        description="`true` makes it the point of no return: once the step succeeded, nothing "
        "before it is undone any more.",
    )


class BodyStep(StepBase):
    """A step with a body."""

    vars: dict[Annotated[str, VARIABLE], Annotated[Any, TEMPLATE]] = Field(
        default_factory=dict[str, Any],
        description="Variables of the body, with their first values: read them as `vars.<name>`, "
        "change them with `set`. They are fresh at each entry: each try, each item of a "
        "`foreach`, once for a `while` or `until`.",
    )
    compensation: Annotated[Compensation | None, THERE] = Field(
        None,
        description="How the steps inside are undone. What is not said here, but for `order`, is "
        "as in the block round it.",
    )


def steps_in(part: Any) -> Iterator[StepBase]:
    """Every step in a part of the model, or the part itself, with those inside it."""
    if isinstance(part, StepBase):
        yield part
    if isinstance(part, BaseModel):
        for name in part.model_fields_set:
            yield from steps_in(getattr(part, name))
    elif isinstance(part, dict | list):
        known = cast("dict[str, Any] | list[Any]", part)
        for value in known.values() if isinstance(known, dict) else known:
            yield from steps_in(value)
