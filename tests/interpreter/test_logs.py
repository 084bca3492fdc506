"""What runs log: structured, and nothing when they are replayed."""

from __future__ import annotations

import logging

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from tests.interpreter.test_runs import Acts, working
from tests.support.servers import replay

TEXT = """
steps:
  - {id: a, activity: act, compensate: {activity: act}}
  - {id: bad, activity: slow, with: {fail: true}}
"""


async def test_records_say_where_they_belong_and_replay_is_silent(
    server: WorkflowEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "temporal_dsl")
    async with working(server.client, TEXT, Acts()) as (name, queue):
        handle = await server.client.start_workflow(name, id=name, task_queue=queue)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    records = [record for record in caplog.records if record.name == "temporal_dsl"]
    said = [(record.levelname, record.__dict__["step"], record.getMessage()) for record in records]
    assert said == [
        ("INFO", None, "started"),
        ("WARNING", "bad", "failed: Told: as told"),
        ("INFO", "a", "undone"),
        ("WARNING", None, "compensated: Told: as told"),
    ]
    for record in records:
        assert record.__dict__["definition"] == name
        assert record.__dict__["workflow_id"] == name
        assert record.__dict__["run_id"] == handle.result_run_id
        assert len(record.__dict__["revision"]) == 12
    caplog.clear()
    await replay(await handle.fetch_history())
    assert [record for record in caplog.records if record.name == "temporal_dsl"] == []
