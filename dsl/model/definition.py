"""A definition: the whole of a workflow as data."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from dsl.model.common import THERE, AnyStep, Catch, Model, Retry, RunCompensation
from dsl.model.leaves import (
    DEFINITION_NAME,
    DURATION,
    EXPRESSION,
    JSON_SCHEMA,
    MESSAGE_NAME,
    QUERY_NAME,
    TEMPLATE,
    TEXT,
    TEXT_TEMPLATE,
    VARIABLE,
    choice,
    describe,
    mistake,
)
from dsl.model.schedule import Schedule

__all__ = [
    "DEFAULT_START_TO_CLOSE",
    "Check",
    "Defaults",
    "Definition",
    "Signal",
    "Update",
    "canonical",
    "digest",
]

DEFAULT_START_TO_CLOSE = "60s"
"""How long one attempt of an activity may take where nothing is said."""


class Defaults(Model):
    """Options of every activity that does not say otherwise. Compensations do not take them."""

    task_queue: Annotated[str | None, TEXT_TEMPLATE] = Field(
        None,
        description="The task queue whose workers run the activities. Default: that of the "
        "workflow.",
        examples=["payments"],
    )
    start_to_close_timeout: Annotated[str | None, DURATION] = Field(
        None, description="How long one attempt may take. Default `60s`."
    )
    schedule_to_start_timeout: Annotated[str | None, DURATION] = Field(
        None,
        description="How long an attempt may wait for a worker. Default: no bound.",
    )
    heartbeat_timeout: Annotated[str | None, DURATION] = Field(
        None,
        description="The longest silence of an activity that heartbeats; over it the attempt has "
        "failed. Without it an attempt learns of no cancellation.",
    )
    retry: Annotated[Retry | None, THERE] = Field(
        None, description="Temporal's retry policy. An activity's own `retry` wins, key by key."
    )


class Signal(Model):
    """A signal: a message that is sent and not answered.

    A step waits for it with `wait_signal`; or it has a handler, `do`, which runs whenever one
    arrives.
    """

    model_config = ConfigDict(json_schema_extra={"type": ["object", "null"]})

    description: Annotated[str | None, TEXT] = Field(None, description="What the signal means.")
    payload: Annotated[dict[str, Any] | None, JSON_SCHEMA] = Field(
        None,
        description="JSON Schema (2020-12) of the payload. A signal that does not fit is refused "
        "and counted. `pattern` and `patternProperties` are not allowed in it, because messages "
        "are checked inside the workflow. Its `default`s are not applied.",
        json_schema_extra={"$ref": "#/$defs/MessageSchema"},
    )
    do: list[AnyStep] = Field(
        default_factory=list[AnyStep],
        description="The handler: steps that run whenever the signal arrives, beside the steps of "
        "the definition. They see `payload`. Such a signal is not kept: no step can wait for it.",
        min_length=1,
        examples=[[{"set": {"items": "${ vars.items + [payload] }"}}]],
    )


class Check(Model):
    """A rule that an update must keep. One that breaks it is rejected, and leaves no trace."""

    check: Annotated[str, EXPRESSION] = Field(
        description="An expression that must be true. Sees `payload` and the state of the run.",
        examples=["len(vars.items) > 0"],
    )
    message: Annotated[str, TEXT_TEMPLATE] = Field(
        description="What the caller is told where it is not true.",
        examples=["the cart is empty"],
    )


class Update(Model):
    """An update: a message that is answered with the output of its handler.

    One whose payload does not fit, or that breaks a rule of `validate`, is rejected before it
    becomes a part of the run. An error that nothing inside catches fails the update and not the
    run; what the handler did is undone before.
    """

    description: Annotated[str | None, TEXT] = Field(None, description="What the update does.")
    payload: Annotated[dict[str, Any] | None, JSON_SCHEMA] = Field(
        None,
        description="JSON Schema (2020-12) of the payload. An update that does not fit is "
        "rejected. `pattern` and `patternProperties` are not allowed in it, because messages are "
        "checked inside the workflow. Its `default`s are not applied.",
        json_schema_extra={"$ref": "#/$defs/MessageSchema"},
    )
    validate_: list[Check] = Field(
        default_factory=list[Check],
        alias="validate",
        description="Rules, of which the first that is broken rejects the update.",
        min_length=1,
    )
    do: list[AnyStep] = Field(
        description="The handler: steps that run when the update arrives, beside the steps of the "
        "definition. They see `payload`.",
        min_length=1,
    )
    output: Annotated[Any, TEMPLATE] = Field(
        None,
        description="What the caller is answered: any value, with `${ expression }` in its texts. "
        "Sees `payload`, the steps of `do`, and the output of the last of them as `result`, which "
        "is the default.",
        examples=["${ vars.total }"],
    )


def _version(value: Any) -> int:
    if isinstance(value, bool) or value != 1:
        raise mistake(
            "DSL106", f"must be 1, is {describe(value)}", "this is version 1 of the language"
        )
    return 1


def _or_nothing(value: Any) -> Any:
    return {} if value is None else value


class Definition(Model):
    """A workflow."""

    dsl: Annotated[Literal[1], BeforeValidator(_version)] = Field(
        description="The version of the language: always `1`."
    )
    name: Annotated[str, DEFINITION_NAME] = Field(
        description="The name of the definition, which is Temporal's Workflow Type. Letters, "
        "digits, `_`, `.` and `-`, a letter first.",
        examples=["order-fulfilment"],
    )
    description: Annotated[str | None, TEXT] = Field(
        None, description="What the workflow is for. A text, for those who read the definition."
    )
    input: Annotated[dict[str, Any] | None, JSON_SCHEMA] = Field(
        None,
        description="JSON Schema (2020-12) of the input, checked before the first step: one that "
        "does not fit fails the run with `InvalidInput`. Its `default`s are applied. Only "
        "references inside it (`#...`) are followed. Without it any input is taken.",
    )
    schedule: Annotated[Schedule | None, THERE] = Field(
        None,
        description="When runs are started by themselves, and with what: `deploy` makes a Schedule "
        "of Temporal of it, which follows what is live.",
        examples=[{"cron": "0 6 1 * *", "timezone": "Europe/Vienna"}],
    )
    timeout: Annotated[str | None, DURATION] = Field(
        None,
        description="How long the whole run may take. When it is over everything is undone and "
        "the run fails with an error of type `Timeout`. Default: no bound. (By Temporal's own "
        "timeouts of a run nothing is undone.)",
        examples=["2d"],
    )
    on_fault: Annotated[str | None, choice("suspend", "fail")] = Field(
        None,
        description="What a fault of the definition does (an expression that fails, an activity "
        "nobody registered): `suspend` the run for an operator, the default, or `fail` "
        "as an error.",
    )
    defaults: Annotated[Defaults | None, THERE] = Field(
        None,
        description="Options of every activity that does not say otherwise. Compensations do not "
        "take them.",
    )
    signals: dict[Annotated[str, MESSAGE_NAME], Annotated[Signal, BeforeValidator(_or_nothing)]] = (
        Field(
            default_factory=dict[str, Signal],
            description="The signals that it takes, by their names. One that is not declared here "
            "is refused, and cannot be waited for.",
        )
    )
    updates: dict[Annotated[str, MESSAGE_NAME], Update] = Field(
        default_factory=dict[str, Update],
        description="The updates that it takes, by their names.",
    )
    queries: dict[Annotated[str, QUERY_NAME], Annotated[Any, TEMPLATE]] = Field(
        default_factory=dict[str, Any],
        description="What the run can be asked, by names: values, with `${ expression }` in their "
        "texts, of what it knows at that moment. `status` and `definition` are always there.",
        examples=[{"total": "${ vars.total }"}],
    )
    vars: dict[Annotated[str, VARIABLE], Annotated[Any, TEMPLATE]] = Field(
        default_factory=dict[str, Any],
        description="Variables of the run, with their first values: read them as `vars.<name>`, "
        "change them with `set`.",
    )
    steps: list[AnyStep] = Field(
        description="The steps, one after the other. Each sees the outputs of those before it.",
        min_length=1,
    )
    output: Annotated[Any, TEMPLATE] = Field(
        None,
        description="The output of the run: any value, with `${ expression }` in its texts. Sees "
        "the output of the last step as `result`, which is the default.",
        examples=["${ steps.charge.output }"],
    )
    catch: list[Catch] = Field(
        default_factory=list[Catch],
        description="What to do about errors that no step caught, after what was done is undone: "
        "a list, of which the first that matches is taken. The run is then completed.",
        min_length=1,
    )
    compensation: Annotated[RunCompensation | None, THERE] = Field(
        None,
        description="How the run is undone and, but for `order`, every block that does not say "
        "otherwise.",
    )
    finally_: list[AnyStep] = Field(
        default_factory=list[AnyStep],
        alias="finally",
        description="Steps that run at the end, however the run ended, cancellation included. "
        "They see `status` and `error`, which is null where there was none.",
        min_length=1,
    )


def canonical(definition: Definition) -> str:
    """The normal form of a definition as JSON text: what is stored, and what is run.

    It is a definition itself: read again it gives the same text.
    """
    data = definition.model_dump(mode="json", exclude_unset=True)
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def digest(canonical_text: str) -> str:
    """What identifies a definition by its content: SHA-256 of its normal form, in hex."""
    return hashlib.sha256(canonical_text.encode()).hexdigest()
