"""Recorded histories replay for ever; one that was tampered with does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.workflow import NondeterminismError

from tests.support.servers import replay

FILES = sorted(Path(__file__).parent.glob("*.json"))


def recorded(text: str) -> WorkflowHistory:
    """A history under its own id, which the ids of its children begin with."""
    [started, *_] = json.loads(text)["events"]
    id = started["workflowExecutionStartedEventAttributes"]["workflowId"]
    return WorkflowHistory.from_json(id, text)


def test_there_are_some() -> None:
    assert len(FILES) >= 5


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_replays(file: Path) -> None:
    await replay(recorded(file.read_text()))


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
        await replay(recorded(text.replace(old, new)))


async def test_a_child_of_another_name_fails() -> None:
    file = next(file for file in FILES if file.stem.endswith("children-undone-1"))
    text = json.dumps(json.loads(file.read_text()))
    assert "child-nest-one" in text
    with pytest.raises(NondeterminismError):
        await replay(recorded(text.replace('"name": "child-nest-one"', '"name": "child-other"')))


async def test_a_history_whose_definition_was_tampered_with_fails() -> None:
    file = next(file for file in FILES if file.stem.endswith("saga-undone"))
    history = recorded(file.read_text())
    marker = next(
        event.marker_recorded_event_attributes
        for event in history.events
        if event.HasField("marker_recorded_event_attributes")
    )
    payload = marker.details["result"].payloads[0]
    payload.data = payload.data.replace(b'"id":"b"', b'"id":"x"')
    with pytest.raises(NondeterminismError):
        await replay(history)
