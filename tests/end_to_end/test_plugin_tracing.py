"""OpenTelemetry beside `DslPlugin`: spans for a run and its steps, each below the right one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import opentelemetry.trace
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.opentelemetry import (
    OpenTelemetryPlugin,
    TracingInterceptor,
    create_tracer_provider,
)
from temporalio.worker import Worker

from interpreter.activities import idempotency_key
from interpreter.plugin import DslPlugin
from tests.end_to_end.support import Site

DEFINITION = """\
dsl: 1
name: traced
signals: {go: {}}
steps:
  - id: first
    activity: trace.place
    args: [{here: there}]
  - id: near
    activity: trace.near
    local: true
  - id: each
    foreach: [1, 2]
    concurrency: 2
    do:
      - id: one
        activity: trace.key
  - id: go
    wait_signal: go
  - id: last
    timeout: 1m
    do:
      - id: kept
        activity: trace.key
        compensate: {activity: trace.undo}
      - rollback: all
output: ${ steps.each.output }
"""


@activity.defn(name="trace.place")
def place(value: dict[str, str]) -> list[str]:
    """Takes an object by its position, which a header says."""
    return list(value)


@activity.defn(name="trace.near")
async def near() -> None:
    """Is local."""


@activity.defn(name="trace.key")
async def key() -> str:
    """Gives its key."""
    return idempotency_key()


@activity.defn(name="trace.undo")
async def undo() -> None:
    """Undoes."""


STEPS = ["trace.place", "trace.near", "trace.key", "trace.key", "trace.key", "trace.undo"]


async def run(client: Client, folder: Path) -> tuple[str, Any]:
    """Runs the definition beside DslPlugin; gives its run id and its output."""
    (folder / "traced.yaml").write_text(DEFINITION)
    plugin = DslPlugin(activities=[place, near, key, undo], definitions=folder)
    queue = f"traced-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, plugins=[plugin]):
        handle = await client.start_workflow("traced", id=queue, task_queue=queue)
        await handle.signal("go")
        output = await handle.result()
    assert handle.result_run_id is not None
    return handle.result_run_id, output


class Spans:
    """The spans that ended, by their names."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self.all = exporter.get_finished_spans()
        self._by_id = {one.context.span_id: one for one in self.all if one.context is not None}

    def of(self, beginning: str) -> list[str]:
        """What stands behind the beginning of names, in order of time."""
        found = sorted(self._named(beginning), key=lambda span: span.start_time or 0)
        return [span.name.removeprefix(beginning) for span in found]

    def parents(self, beginning: str) -> set[str]:
        """The names of the parents of spans, with `*` for what is in their own names."""
        found: set[str] = set()
        for span in self._named(beginning):
            parent = None if span.parent is None else self._by_id[span.parent.span_id]
            own = span.name.removeprefix(beginning)
            found.add("none" if parent is None else parent.name.replace(own, "*"))
        return found

    def _named(self, beginning: str) -> Iterator[ReadableSpan]:
        return (span for span in self.all if span.name.startswith(beginning))


async def test_the_interceptor(site: Site, tmp_path: Path) -> None:
    """As for a workflow written by hand: the spans of a run stand below the one of its start."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = TracingInterceptor(provider.get_tracer("test"))
    client = await Client.connect(site.address, interceptors=[tracing])
    root, output = await run(client, tmp_path)
    assert output == [f"{root}/each[0].one", f"{root}/each[1].one"]
    spans = Spans(exporter)
    assert spans.of("StartWorkflow:") == spans.of("RunWorkflow:") == ["traced"]
    assert spans.parents("RunWorkflow:") == {"StartWorkflow:*"}
    assert spans.of("StartActivity:") == ["dsl.resolve", *STEPS]
    assert spans.parents("StartActivity:") == {"StartWorkflow:traced"}
    assert sorted(spans.of("RunActivity:")) == sorted(["dsl.resolve", *STEPS])
    assert spans.parents("RunActivity:") == {"StartActivity:*"}
    assert spans.parents("CompleteWorkflow:") == {"StartWorkflow:*"}
    assert len({span.context.trace_id for span in spans.all if span.context}) == 2  # the signal


async def test_the_plugin(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spans of steps stand below the one of their run."""
    exporter = InMemorySpanExporter()
    provider = create_tracer_provider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # There is one for each process, and it cannot be set twice.
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", provider)
    tracing = OpenTelemetryPlugin(add_temporal_spans=True)
    client = await Client.connect(site.address, plugins=[tracing])
    root, output = await run(client, tmp_path)
    assert output == [f"{root}/each[0].one", f"{root}/each[1].one"]
    spans = Spans(exporter)
    assert spans.parents("StartWorkflow:") == {"none"}
    assert spans.parents("RunWorkflow:") == {"StartWorkflow:*"}
    assert spans.of("StartActivity:") == ["dsl.resolve", *STEPS]
    assert spans.parents("StartActivity:") == {"RunWorkflow:traced"}
    assert spans.parents("RunActivity:") == {"StartActivity:*"}
