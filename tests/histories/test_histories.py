"""Recorded histories replay for ever; one that was tampered with does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.workflow import NondeterminismError

from tests.support.servers import replay

FILES = sorted(Path(__file__).parent.glob("*.json"))


def test_there_are_some() -> None:
    assert len(FILES) >= 5


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_replays(file: Path) -> None:
    await replay(WorkflowHistory.from_json(file.stem, file.read_text()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('"activityId": "c"', '"activityId": "d"', id="another step"),
        pytest.param('"name": "undo_a"', '"name": "undo_b"', id="another activity"),
    ],
)
async def test_a_history_that_was_tampered_with_fails(old: str, new: str) -> None:
    file = next(file for file in FILES if file.stem.endswith("saga-undone"))
    text = json.dumps(json.loads(file.read_text()))
    assert old in text
    with pytest.raises(NondeterminismError):
        await replay(WorkflowHistory.from_json(file.stem, text.replace(old, new)))


async def test_a_history_whose_definition_was_tampered_with_fails() -> None:
    file = next(file for file in FILES if file.stem.endswith("saga-undone"))
    history = WorkflowHistory.from_json(file.stem, file.read_text())
    marker = next(
        event.marker_recorded_event_attributes
        for event in history.events
        if event.HasField("marker_recorded_event_attributes")
    )
    payload = marker.details["result"].payloads[0]
    payload.data = payload.data.replace(b'"id":"b"', b'"id":"x"')
    with pytest.raises(NondeterminismError):
        await replay(history)
