"""A definition: the whole of a workflow as data."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dsl.model.common import AnyStep, Catch, Compensation, Model, Retry
from dsl.model.leaves import (
    DEFINITION_NAME,
    DURATION,
    JSON_SCHEMA,
    MESSAGE_NAME,
    TEMPLATE,
    TEXT,
    TEXT_TEMPLATE,
    VARIABLE,
    choice,
    describe,
    mistake,
)

__all__ = ["DEFAULT_START_TO_CLOSE", "Defaults", "Definition", "Signal", "canonical", "digest"]

DEFAULT_START_TO_CLOSE = "60s"
"""How long one attempt of an activity may take where nothing is said."""


class Defaults(Model):
    """Options of every activity that does not say otherwise. Compensations do not take them."""

    task_queue: Annotated[str | None, TEXT_TEMPLATE] = Field(
        None, description="The task queue whose workers run the activities."
    )
    start_to_close_timeout: Annotated[str | None, DURATION] = Field(
        None, description="How long one attempt may take. Default 60s."
    )
    schedule_to_start_timeout: Annotated[str | None, DURATION] = Field(
        None, description="How long an attempt may wait for a worker."
    )
    heartbeat_timeout: Annotated[str | None, DURATION] = Field(
        None, description="The longest silence of an activity that heartbeats."
    )
    retry: Retry | None = Field(None, description="Merged key by key under an activity's own.")


class Signal(Model):
    """A signal that the workflow waits for."""

    description: Annotated[str | None, TEXT] = Field(None, description="What it means.")
    payload: Annotated[dict[str, Any] | None, JSON_SCHEMA] = Field(
        None,
        description="JSON Schema of its payload. A signal that does not fit is refused and "
        "counted. `pattern` is not allowed in it.",
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
        description="The version of the language: 1."
    )
    name: Annotated[str, DEFINITION_NAME] = Field(
        description="Its name, which is Temporal's Workflow Type."
    )
    description: Annotated[str | None, TEXT] = Field(None, description="What it is for.")
    input: Annotated[dict[str, Any] | None, JSON_SCHEMA] = Field(
        None,
        description="JSON Schema 2020-12 of the input. Checked before the first step; its "
        "`default`s are applied.",
    )
    timeout: Annotated[str | None, DURATION] = Field(
        None,
        description="For the whole run. When it is over everything is undone and the run fails "
        "with `Timeout`.",
    )
    on_fault: Annotated[str | None, choice("suspend", "fail")] = Field(
        None,
        description="What a fault of the definition does (an expression that fails, an activity "
        "nobody registered): `suspend` the run for an operator, the default, or `fail` "
        "as an error.",
    )
    defaults: Defaults | None = Field(
        None, description="Options of every activity that does not say otherwise."
    )
    signals: dict[Annotated[str, MESSAGE_NAME], Annotated[Signal, BeforeValidator(_or_nothing)]] = (
        Field(
            default_factory=dict[str, Signal],
            description="The signals it waits for, by their names.",
        )
    )
    vars: dict[Annotated[str, VARIABLE], Annotated[Any, TEMPLATE]] = Field(
        default_factory=dict[str, Any],
        description="Variables with their first values. Change them with `set`.",
    )
    steps: list[AnyStep] = Field(description="What it does, in order.", min_length=1)
    output: Annotated[Any, TEMPLATE] = Field(
        None, description="Its output. Default: the output of the last step."
    )
    catch: list[Catch] = Field(
        default_factory=list[Catch],
        description="What to do about errors that no step caught. What was done is undone first.",
        min_length=1,
    )
    compensation: Compensation | None = Field(None, description="How the run is undone.")
    finally_: list[AnyStep] = Field(
        default_factory=list[AnyStep],
        alias="finally",
        description="Steps that run at the end, however the run ended.",
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
