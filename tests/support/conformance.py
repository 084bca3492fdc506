"""Conformance cases: a definition, what its activities answer, and what must come of it.

A case is data (see tests/conformance/README.md). It runs on a real server in virtual time, its
activities are real activities whose answers the case gives, and its history is replayed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.common import Priority, RawValue
from temporalio.converter import default as default_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from dsl.durations import format_duration, parse_duration
from dsl.loader import load_text
from dsl.model.definition import Definition
from dsl.source import Source
from dsl.syntax import compose
from interpreter.activities import ActivityContextInterceptor, idempotency_key
from interpreter.definitions.resolver import Resolver
from interpreter.definitions.store import MemoryStore
from interpreter.headers import HeaderInterceptor
from interpreter.operators import ANSWER
from interpreter.redriver import Redriver
from interpreter.testing import Observation, Unsupported, check, read_history
from interpreter.workflow import DslWorkflow
from tests.support.servers import fetch_chain, persistent, replay

__all__ = ["Call", "Case", "Observed", "Runner", "read_cases"]

TASK_QUEUE = "conformance"
_PATIENCE = 20.0
"""How long a case may take, in real seconds: one that hangs must not stop the others."""
_KEYS = frozenset(
    ("name", "definition", "input", "mocks", "signals", "cancel", "expect", "more", "run", "beside")
) | {"updates", "queries"}
_ACCEPTED = "workflow_execution_update_accepted_event_attributes"
_BESIDE = frozenset(("definition", "input", "mocks", "expect"))
_CLOSED = {
    "completed": ("COMPLETED",),
    "failed": ("FAILED",),
    "compensated": ("FAILED",),
    "compensation_failed": ("FAILED", "CANCELED"),
    "cancelled": ("CANCELED",),
}
"""How Temporal itself says that a run of a status ended."""
_EXPECTED = frozenset(
    (
        "status",
        "output",
        "error",
        "activities",
        "unordered",
        "calls",
        "saga",
        "steps",
        "elapsed",
        "suspended",
        "refused",
        "paths",
        "kept",
        "search_attributes",
        "then",
        "answers",
        "answers_given",
        "attempts",
    )
)


@dataclass(frozen=True)
class Case:
    """A case.

    Args:
        id: Where it stands: `foreach/collect.yaml::name`.
        data: Its content.
    """

    id: str
    data: dict[str, Any]


@dataclass
class Call:
    """A call of an activity."""

    activity: str
    path: str
    arguments: Any
    options: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None


@dataclass(frozen=True)
class Observed:
    """A run that has ended, for the reference model."""

    definition: Definition
    observation: Observation
    chain: list[WorkflowHistory]
    calls: list[Call]


@dataclass
class World:
    """What the activities of a run answer, and what they were asked."""

    mocks: dict[str, Any]
    calls: list[Call] = field(default_factory=list[Call])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    updates: list[tuple[dict[str, Any], WorkflowUpdateHandle[Any]]] = field(
        default_factory=list[tuple[dict[str, Any], WorkflowUpdateHandle[Any]]]
    )


def read_cases(folder: Path) -> list[Case]:
    """The cases of all files below a folder."""
    cases: list[Case] = []
    for file in sorted(folder.rglob("*.yaml")):
        documents, diagnostics = compose(Source(str(file), file.read_text()))
        assert not diagnostics, diagnostics
        for document in documents:
            content: Any = document.data()
            for data in content if isinstance(content, list) else [content]:
                case = Case(f"{file.relative_to(folder)}::{data['name']}", data)
                expect = data["expect"]
                unknown = set(data) - _KEYS | set(expect) - _EXPECTED
                unknown |= set(expect.get("then", {})) - _EXPECTED
                for other in data.get("beside", {}).values():
                    unknown |= set(other) - _BESIDE | set(other["expect"]) - _EXPECTED
                assert not unknown, f"{case.id}: unknown keys {unknown}"
                cases.append(case)
    names = [case.id for case in cases]
    assert len(names) == len(set(names)), "two cases have the same name"
    return cases


def _step(fault: dict[str, Any]) -> str:
    return str(fault["step"])


class Runner:
    """Runs cases on one server with one worker.

    Args:
        server: The server, in virtual time.
        continue_after: After how many events runs go on as new.
    """

    def __init__(self, server: WorkflowEnvironment, continue_after: int | None = None) -> None:
        self.server = server
        self.client: Client = server.client
        self.store = MemoryStore([])
        self.worlds: dict[str, World] = {}
        self.chain: list[WorkflowHistory] = []
        """The histories of the last case, its children's too."""
        self._count = 0

        @activity.defn(dynamic=True)
        async def answer(args: Sequence[RawValue]) -> Any:
            return await self._answer(args)

        resolver = Resolver(self.store, continue_after)
        self.worker = Worker(
            self.client,
            task_queue=TASK_QUEUE,
            workflows=[DslWorkflow],
            activities=[answer, *resolver.activities, *Redriver(resolver).activities],
            interceptors=[HeaderInterceptor(), ActivityContextInterceptor()],
            # A cancellation reaches an activity with a heartbeat: they are not held back.
            max_heartbeat_throttle_interval=timedelta(milliseconds=20),
            default_heartbeat_throttle_interval=timedelta(milliseconds=20),
        )

    async def _answer(self, args: Sequence[RawValue]) -> Any:
        info = activity.info()
        assert info.workflow_id is not None
        world = self.worlds[info.workflow_id.partition("/")[0]]  # also of its children
        converter = default_converter().payload_converter
        values = [converter.from_payload(arg.payload) for arg in args]
        arguments = values[0] if len(values) == 1 else values or None
        call = Call(info.activity_type, info.activity_id, arguments, _options(info))
        world.calls.append(call)
        count = world.counts[info.activity_type] = world.counts.get(info.activity_type, 0) + 1
        mock: Any = world.mocks.get(info.activity_type)
        if isinstance(mock, dict) and "sequence" in mock:
            mock = mock["sequence"][min(count, len(mock["sequence"])) - 1]
        if isinstance(mock, dict) and "when" in mock:
            mock = next((m for m in mock["when"] if _contains(arguments, m.get("with"))), None)
        try:
            return await self._play(mock or {"return": None}, arguments)
        finally:
            call.ended = time.monotonic()

    async def _play(self, mock: dict[str, Any], arguments: Any) -> Any:
        if "delay" in mock:
            await asyncio.sleep(parse_duration(mock["delay"]) or 0)
        if "block" in mock:
            # Works until it is cancelled; `block: completes` then answers all the same. With
            # `at_most` it answers after that time, cancelled or not.
            try:
                async with asyncio.timeout(parse_duration(mock.get("at_most", "1h"))):
                    while True:
                        activity.heartbeat()
                        await asyncio.sleep(0.02)
            except TimeoutError:
                pass
            except asyncio.CancelledError:
                if mock["block"] != "completes":
                    raise
        if "hang" in mock:
            await asyncio.sleep(parse_duration(mock["hang"]) or 60)
        if "refuse" in mock:
            # What our worker says when an activity is not there, or does not take this.
            type = f"dsl.{mock['refuse']}"
            raise ApplicationError("as the case says", type=type, non_retryable=True)
        if "raise" in mock:
            error = mock["raise"]
            details = [error["details"]] if "details" in error else []
            raise ApplicationError(
                error.get("message", "as the case says"),
                *details,
                type=error["type"],
                non_retryable=not error.get("retryable", False),
            )
        if "echo" in mock:
            return arguments
        return mock.get("return")

    async def run(self, case: Case) -> WorkflowHistory:
        """Runs a case and its replay; gives its history.

        Raises:
            AssertionError: if something else came of it than the case expects.
        """
        data = case.data
        name = self.load(case)
        world = self.worlds[name]
        expect = data["expect"]
        beside = self._load_beside(name, data)
        async with asyncio.timeout(_PATIENCE):
            others = {id: await self.start(id, other) for id, other in beside.items()}
            handle = await self.start(name, data)
            if "suspended" in expect:
                await self._check_suspended(handle, expect, world)
                while "then" in expect:
                    expect = expect["then"]
                if "suspended" not in expect:
                    await self._check_messages(handle, data, world)
            else:
                await self._check_end(handle, expect, world)
                await self._check_messages(handle, data, world)
                with contextlib.suppress(Unsupported):
                    observed = await self._observed(name, handle, data)
                    violations = check(observed.definition, observed.observation)
                    assert not violations, "\n".join(map(str, violations))
            for id, other in others.items():
                await self._check_end(other, beside[id]["expect"], self.worlds[id])
        chain = await fetch_chain(self.client, handle.id, children=True)
        started = chain[0].events[0].workflow_execution_started_event_attributes
        roots = {call.options["root"].partition("/")[0] for call in world.calls}  # also of children
        assert roots <= {started.original_execution_run_id}
        for other in others.values():
            chain += await fetch_chain(self.client, other.id)
        self.chain = chain
        await replay(*chain)
        return chain[-1]

    async def observe(self, case: Case) -> Observed:
        """Runs a case, whatever comes of it. Many may run at the same time.

        It may be cancelled at `{after: 1h}`, or at `{calls: 3}`: once so many calls were made.
        """
        name = self.load(case)
        data = dict(case.data)
        cancel = data.pop("cancel", None)
        async with asyncio.timeout(3 * _PATIENCE):
            handle = await self.start(name, data)
            with contextlib.suppress(RPCError):  # it may have ended before
                await self._cancel(handle, name, cancel)
            await self.skip(handle)
            with contextlib.suppress(WorkflowFailureError):
                await persistent(handle.result)
            return await self._observed(name, handle, data)

    async def _cancel(
        self, handle: WorkflowHandle[Any, Any], name: str, cancel: dict[str, Any] | None
    ) -> None:
        if cancel is None:
            return
        if "calls" not in cancel:
            await self.server.fast_forward(handle, parse_duration(cancel["after"]))
        else:
            skipping = asyncio.create_task(self.skip(handle))
            calls = self.worlds[name].calls
            while len(calls) < cancel["calls"] and not skipping.done():
                await asyncio.sleep(0.005)
            skipping.cancel()
        await handle.cancel()

    async def _observed(
        self, name: str, handle: WorkflowHandle[Any, Any], data: dict[str, Any]
    ) -> Observed:
        report: dict[str, Any] = await handle.query("status")
        chain = await fetch_chain(self.client, handle.id)
        input = data.get("input", {})
        observation = read_history([one.to_json_dict() for one in chain], report, input)
        definition = (await self.store.get(name)).definition
        return Observed(definition, observation, chain, self.worlds[name].calls)

    def load(self, case: Case) -> str:
        """Makes the definitions of a case known; gives the name of the first."""
        data = case.data
        self._count += 1
        name = f"case-{self._count}"
        parts = [{"dsl": 1, "name": name, **data["definition"]}, *data.get("more", [])]
        texts = [json.dumps(part, indent=1, ensure_ascii=False) for part in parts]
        loaded = load_text("\n---\n".join(texts), case.id)
        problems = [f"{d.code} {d.place} {d.message}" for d in loaded.diagnostics]
        assert loaded.ok, problems
        self.store.add(loaded.definitions)
        self.worlds[name] = World(data.get("mocks", {}))
        return name

    def _load_beside(self, name: str, data: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Makes the runs known that are there beside that of a case; gives them by their ids."""
        beside: dict[str, dict[str, Any]] = {}
        for suffix, other in data.get("beside", {}).items():
            id = f"{name}-{suffix}"
            beside[id] = other
            loaded = load_text(json.dumps({"dsl": 1, "name": id, **other["definition"]}), id)
            assert loaded.ok, loaded.diagnostics
            self.store.add(loaded.definitions)
            self.worlds[id] = World(other.get("mocks", {}))
        return beside

    async def start(self, name: str, data: dict[str, Any]) -> WorkflowHandle[Any, Any]:
        arguments = [data["input"]] if "input" in data else []
        # Messages come at times of the run's own clock: it is driven from one to the next.
        moments: list[tuple[float | str, dict[str, Any] | None]] = [
            (_moment(message), {"kind": kind, **message})
            for kind in ("signals", "updates", "queries")
            for message in data.get(kind, [])
            if kind != "queries" or message.keys() & {"after", "call"}
        ]
        cancels = data.get("cancel", [])
        for cancel in cancels if isinstance(cancels, list) else [cancels]:
            moments.append(
                (_moment(cancel if isinstance(cancel, dict) else {"after": cancel}), None)
            )
        # Stable: as in the text where times are equal; those that wait for a call come last.
        moments.sort(key=lambda m: m[0] if isinstance(m[0], float) else float("inf"))
        with self.server.with_time_skipping_disabled():
            handle = await self.client.start_workflow(
                name, args=arguments, id=name, task_queue=TASK_QUEUE
            )
        now = 0.0
        for moment, message in moments:
            if isinstance(moment, str):
                await self._until_called(handle, name, moment)
            elif moment > now:
                await self.server.fast_forward(handle, moment - now)
                now = moment
            if message is None:
                await handle.cancel()
            else:
                await self._send(handle, name, message)
        return handle

    async def _send(
        self, handle: WorkflowHandle[Any, Any], name: str, message: dict[str, Any]
    ) -> None:
        match message["kind"]:
            case "signals":
                await handle.signal(message["name"], message.get("payload"))
            case "updates":
                stage = WorkflowUpdateStage.ACCEPTED
                sent = await handle.start_update(
                    message["name"], message.get("payload"), wait_for_stage=stage
                )
                self.worlds[name].updates.append((message, sent))
            case _:
                await self._ask(handle, message)

    async def _ask(self, handle: WorkflowHandle[Any, Any], asked: dict[str, Any]) -> None:
        """Asks a query, which is answered or refused."""
        try:
            answer = await handle.query(asked["name"])
        except WorkflowQueryFailedError as error:
            assert "refused" in asked, error
            assert asked["refused"] in str(error), error
        else:
            assert "refused" not in asked, answer
            assert answer == asked["answer"], answer

    async def _check_messages(
        self, handle: WorkflowHandle[Any, Any], data: dict[str, Any], world: World
    ) -> None:
        """What became of the updates; the queries that are asked at the end."""
        for message, sent in world.updates:
            error: BaseException | None = None
            answer: Any = None
            try:
                answer = await sent.result()
            except WorkflowUpdateFailedError as failure:
                error = failure.cause
            if error is None:
                assert answer == message["answer"], answer
                continue
            assert isinstance(error, ApplicationError), error
            wanted = message["rejected"] if "rejected" in message else message["error"]
            wanted = {"type": wanted} if isinstance(wanted, str) else wanted
            details = error.details[0] if error.details else None
            actual = {"type": error.type, "message": error.message, "details": details}
            assert {key: actual[key] for key in wanted} == wanted, actual
        if world.updates:
            # What was rejected has left no trace.
            chain = await fetch_chain(self.client, handle.id)
            events = [event for one in chain for event in one.events]
            attributes = (getattr(e, _ACCEPTED) for e in events if e.HasField(_ACCEPTED))
            names = [one.accepted_request.input.name for one in attributes]
            taken = [message["name"] for message, _ in world.updates if "rejected" not in message]
            assert sorted(name for name in names if name != ANSWER) == sorted(taken), names
        for asked in data.get("queries", []):
            if not asked.keys() & {"after", "call"}:
                await self._ask(handle, asked)

    async def _until_called(self, handle: WorkflowHandle[Any, Any], name: str, path: str) -> None:
        """Lets time fly until an activity was called. It stands still while one runs."""
        skipping = asyncio.create_task(self.skip(handle))
        calls = self.worlds[name].calls
        for _ in range(500):
            if any(call.path == path for call in calls):
                break
            await asyncio.sleep(0.01)
        skipping.cancel()
        assert any(call.path == path for call in calls), f"{path} was not called: {calls}"

    async def skip(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Lets the run's time fly until it ends."""

        async def skip() -> None:
            try:
                await self.server.fast_forward(handle)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended already
                    raise

        await persistent(skip)

    async def _check_suspended(
        self, handle: WorkflowHandle[Any, Any], expect: dict[str, Any], world: World
    ) -> None:
        skipping = asyncio.create_task(self.skip(handle))
        held = 0
        for attempt in range(200):
            state: dict[str, Any] = await handle.query("status")
            faults = [{"step": s["step"], "fault": s["fault"]} for s in state.get("suspended", [])]
            try:
                assert sorted(faults, key=_step) == sorted(expect["suspended"], key=_step), state
                self._check_state(state, expect, world)
                held += 1
            except AssertionError:
                held = 0
                if attempt == 199:
                    raise
            if held == 4:  # it is so, and stays so
                break
            await asyncio.sleep(0.02)
        skipping.cancel()
        if "then" not in expect:
            await handle.terminate()
            return
        if "answers" in expect:
            for answer in expect["answers"]:
                await self._operate(handle, dict(answer))
        else:
            await handle.cancel()
        then = expect["then"]
        if "suspended" in then:
            await self._check_suspended(handle, then, world)
        else:
            await self._check_end(handle, then, world)

    async def _operate(self, handle: WorkflowHandle[Any, Any], answer: dict[str, Any]) -> None:
        """Answers a suspended step, or is refused."""
        refused = answer.pop("refused", None)
        try:
            await handle.execute_update(ANSWER, answer)
        except WorkflowUpdateFailedError as error:
            assert refused is not None and refused in str(error.cause), error.cause
        else:
            assert refused is None, "it was not refused"

    async def _check_end(
        self, handle: WorkflowHandle[Any, Any], expect: dict[str, Any], world: World
    ) -> None:
        error: BaseException | None = None
        output: Any = None
        await self.skip(handle)
        try:
            output = await persistent(handle.result)
        except WorkflowFailureError as failure:
            error = failure.cause
        state = await handle.query("status")
        assert state["status"] == expect["status"], (state, error)
        described = await persistent(handle.describe)
        closed = described.status
        assert closed is not None and closed.name in _CLOSED[expect["status"]], closed
        if "output" in expect:
            assert error is None, error
            assert output == expect["output"], output
        if "error" in expect:
            assert isinstance(error, ApplicationError), error
            wanted = expect["error"]
            wanted = {"type": wanted} if isinstance(wanted, str) else wanted
            details = error.details[0] if error.details else None
            actual = {"type": error.type, "message": error.message, "details": details}
            report = error.details[1] if len(error.details) > 1 else {}
            actual["step"] = report.get("step")
            assert {key: actual[key] for key in wanted} == wanted, actual
        self._check_state(state, expect, world)
        if "search_attributes" in expect:
            pairs = described.typed_search_attributes.search_attributes
            attributes = {one.key.name: _plain(one.value) for one in pairs}
            attributes.pop("BuildIds", None)  # the server's own
            assert attributes == expect["search_attributes"], attributes
        if "elapsed" in expect:
            chain = await fetch_chain(self.client, handle.id)
            first = chain[0].events[0].event_time.ToDatetime()
            last = chain[-1].events[-1].event_time.ToDatetime()
            elapsed = (last - first).total_seconds()
            wanted_seconds = parse_duration(expect["elapsed"]) or 0.0
            assert abs(elapsed - wanted_seconds) <= max(2.0, wanted_seconds * 0.01), elapsed

    def _check_state(self, state: dict[str, Any], expect: dict[str, Any], world: World) -> None:
        if "activities" in expect:
            actual = [call.activity for call in world.calls]
            wanted = list(expect["activities"])
            if expect.get("unordered"):
                actual, wanted = sorted(actual), sorted(wanted)
            assert actual == wanted, actual
        if "calls" in expect:
            calls = [
                {"activity": c.activity, "path": c.path, "with": c.arguments, **c.options}
                for c in world.calls
            ]
            shown = [
                {k: v for k, v in call.items() if k in wanted}
                for call, wanted in zip(calls, expect["calls"], strict=True)
            ]
            assert shown == expect["calls"], calls
        if "paths" in expect:
            paths = [call.path for call in world.calls]
            assert paths == expect["paths"], paths
        if "saga" in expect:
            saga = [[entry["step"], entry["compensation"]] for entry in state["compensations"]]
            assert saga == expect["saga"], saga
        if "steps" in expect:
            found = dict(_statuses(state["steps"]))
            assert {p: found.get(p) for p in expect["steps"]} == expect["steps"], found
        if "answers" in expect and "suspended" not in expect:
            answers = [[a["action"], a["step"], a["by"], a["reason"]] for a in state["answers"]]
            assert answers == expect["answers"], answers
        if "answers_given" in expect:
            assert len(state.get("answers", [])) == expect["answers_given"], state
        if "attempts" in expect:
            attempts = {entry["step"]: entry["attempts"] for entry in state["compensations"]}
            assert attempts == expect["attempts"], attempts
        if "refused" in expect:
            assert state["signals"]["refused"] == expect["refused"], state["signals"]
        if "kept" in expect:
            assert state["signals"]["kept"] == expect["kept"], state["signals"]


def _plain(value: Any) -> Any:
    """The value of a search attribute as a case writes it."""
    return value.isoformat() if isinstance(value, datetime) else value


def _moment(message: dict[str, Any]) -> float | str:
    """When a message is sent: after some time, or once an activity was called."""
    if "call" in message:
        return str(message["call"])
    return parse_duration(message.get("after", "0s")) or 0.0


def _options(info: activity.Info) -> dict[str, Any]:
    """What the server told the worker about a call."""
    root, _, path = idempotency_key().partition("/")
    options: dict[str, Any] = {
        "attempt": info.attempt,
        "key": f"<root>/{path}",
        "root": root,
    }
    for name in ("start_to_close_timeout", "schedule_to_close_timeout", "heartbeat_timeout"):
        timeout = getattr(info, name)
        seconds = timeout.total_seconds() if timeout is not None else 0.0
        options[name] = format_duration(seconds) if seconds else None
    options["priority"] = _priority(info.priority)
    policy = info.retry_policy
    if policy is not None:
        options["retry"] = {
            "maximum_attempts": policy.maximum_attempts,
            "initial_interval": format_duration(policy.initial_interval.total_seconds()),
            "backoff_coefficient": policy.backoff_coefficient,
            "maximum_interval": policy.maximum_interval
            and format_duration(policy.maximum_interval.total_seconds()),
            "non_retryable_error_types": list(policy.non_retryable_error_types or ()),
        }
    return options


def _priority(priority: Priority) -> dict[str, Any] | None:
    """A priority as a case writes it; None where it is Temporal's default."""
    if priority == Priority.default:
        return None
    return {
        "priority_key": priority.priority_key,
        "fairness_key": priority.fairness_key,
        "fairness_weight": priority.fairness_weight,
    }


def _statuses(steps: list[dict[str, Any]]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for step in steps:
        found.append((step["path"], step["status"]))
        found += _statuses(step.get("steps", []))
    return found


def _contains(arguments: Any, wanted: Any) -> bool:
    if wanted is None:
        return True
    return isinstance(arguments, dict) and all(arguments.get(k) == v for k, v in wanted.items())  # pyright: ignore
