"""With an encrypting codec nothing of what a run says can be read on the server."""

from __future__ import annotations

import base64
import json
import os
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.common import HeaderCodecBehavior
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, Worker

from interpreter.activities import idempotency_key
from interpreter.plugin import DslPlugin
from tests.end_to_end.support import start_server
from tests.support.codec import encrypting
from tests.support.servers import fetch_chain

SECRETS = {
    "input": "ALPHA-INPUT",
    "a step's arguments": "BRAVO-ARGUMENT",
    "a step's output": "CHARLIE-RESULT",
    "a local step's output": "DELTA-LOCAL",
    "an error's message": "ECHO-MESSAGE",
    "an error's details": "FOXTROT-DETAIL",
    "a signal": "GOLF-SIGNAL",
    "an update": "HOTEL-UPDATE",
    "the definition": "INDIA-DEFINITION",
    "a description": "JULIET-DESCRIPTION",
    "the output": "KILO-OUTPUT",
    "the memo": "LIMA-MEMO",
    "a signal to others": "NOVEMBER-SENT",
    "the error of the run": "OSCAR-FAILED",
    "a positional argument": "PAPA-POSITIONAL",
}
"""What must not be read, and what it is."""

DEFINITIONS = f"""\
dsl: 1
name: listener
signals: {{heard: {{}}}}
steps:
  - wait_signal: heard
---
dsl: 1
name: secretive
description: {SECRETS["a description"]}
input:
  type: object
  required: [word, fails]
  properties: {{word: {{type: string}}, fails: {{type: boolean}}}}
signals:
  go: {{}}
updates:
  tell:
    do:
      - id: told
        value: ${{ payload }}
    output: ${{ steps.told.output }}
steps:
  - id: tell
    activity: tell
    description: {SECRETS["a description"]}
    with: {{word: "${{ input.word + '{SECRETS["a step's arguments"]}' }}"}}
    compensate:
      if: step.output != null
      activity: tell
      with: {{word: "${{ step.output.word }}"}}
  - id: near
    activity: near
    local: true
  - id: place
    activity: place
    args: [{{here: "{SECRETS["a positional argument"]}"}}]
  - id: fails
    activity: fail
    retry: {{maximum_attempts: 1}}
    catch:
      - do:
          - id: note
            value: ${{ error.message }}
  - id: others
    send_signal: heard
    workflow_id: listener
    payload: {SECRETS["a signal to others"]}
  - id: slices
    foreach: ${{ range(4) }}
    batch: 2
    do:
      - id: one
        value: ${{ str(item) + input.word }}
  - id: go
    wait_signal: go
    timeout: 1m
  - if: input.fails
    raise: Refused
    message: "{SECRETS["the error of the run"]} ${{ steps.go.output }}"
output:
  said: "{SECRETS["the output"]} {SECRETS["the definition"]} ${{ steps.tell.output.word }}"
  key: ${{ steps.tell.output.key }}
"""


@activity.defn(name="tell")
async def tell(word: str) -> dict[str, str]:
    """Gives a word back, with another."""
    return {"word": word + SECRETS["a step's output"], "key": idempotency_key()}


@activity.defn(name="near")
def near() -> str:
    """Is so near that it may be local."""
    return SECRETS["a local step's output"]


@activity.defn(name="place")
def place(value: dict[str, str]) -> list[str]:
    """Takes an object by its position."""
    return list(value)


@activity.defn(name="fail")
async def fail() -> None:
    """Fails, and says much."""
    raise ApplicationError(
        SECRETS["an error's message"], {"why": SECRETS["an error's details"]}, type="Broken"
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Path, Client]]:
    """A server that keeps everything in a file, and a client without a codec."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process, client = await start_server(folder, port)
    yield folder, client
    process.kill()
    process.wait()


def kept(folder: Path) -> bytes:
    """All that the server has written."""
    return b"".join(file.read_bytes() for file in folder.glob("server.sqlite*"))


def readable(data: bytes) -> set[str]:
    """Which secrets can be read in it."""
    return {what for what, secret in SECRETS.items() if secret.encode() in data}


def of(address: str, converter: DataConverter, **more: Any) -> Any:
    return Client.connect(address, data_converter=converter, **more)


async def run_all(client: Client, folder: Path, id: str) -> list[WorkflowHandle[Any, Any]]:
    """Does everything that a definition can say; gives a run that completed and one that failed."""
    (folder / "secretive.yaml").write_text(DEFINITIONS)
    plugin = DslPlugin(activities=[tell, near, place, fail], definitions=folder)
    handles: list[WorkflowHandle[Any, Any]] = []
    async with Worker(client, task_queue=id, plugins=[plugin]):
        for fails in (False, True):
            await client.start_workflow("listener", id="listener", task_queue=id)
            handle = await client.start_workflow(
                "secretive",
                {"word": SECRETS["input"], "fails": fails},
                id=f"{id}-{fails}",
                task_queue=id,
                memo={"note": SECRETS["the memo"]},
            )
            told = await handle.execute_update("tell", SECRETS["an update"])
            assert told == SECRETS["an update"]
            await handle.signal("go", SECRETS["a signal"])
            handles.append(handle)
            await client.get_workflow_handle("listener").result()
            if fails:
                with pytest.raises(WorkflowFailureError) as failure:
                    await handle.result()
                cause = failure.value.cause
                assert isinstance(cause, ApplicationError) and cause.type == "Refused"
                assert cause.message == f"{SECRETS['the error of the run']} {SECRETS['a signal']}"
                assert cause.details[1]["saga"][0]["compensation"] == "compensated"
            else:
                output = await handle.result()
                word = "".join(SECRETS[k] for k in ("input", "a step's arguments"))
                assert output["said"].endswith(word + SECRETS["a step's output"])
                state = await handle.query("status")
                assert state["status"] == "completed", state
    return handles


async def written(client: Client, handles: list[WorkflowHandle[Any, Any]]) -> bytes:
    """The histories of runs and of their slices, as who has no key gets them."""
    data = b""
    for handle in handles:
        for history in await fetch_chain(client, handle.id, children=True):
            text = json.loads(history.to_json())
            data += b"".join(event.SerializeToString() for event in history.events)
            data += json.dumps(text).encode() + b"".join(_decoded(text))
    return data


def _decoded(value: Any) -> Iterator[bytes]:
    """The data of the payloads in a history as JSON."""
    if isinstance(value, dict):
        if isinstance(data := value.get("data"), str):
            yield base64.b64decode(data)
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _decoded(one)


@pytest.mark.parametrize(
    "headers", [HeaderCodecBehavior.NO_CODEC, HeaderCodecBehavior.CODEC], ids=["", "headers"]
)
async def test_nothing_can_be_read(
    server: tuple[Path, Client], tmp_path: Path, headers: HeaderCodecBehavior
) -> None:
    files, plain = server
    address = plain.service_client.config.target_host
    converter = encrypting(pydantic_data_converter, os.urandom(32))
    client = await of(address, converter, header_codec_behavior=headers)
    handles = await run_all(client, tmp_path, f"secret-{headers.name}")
    seen = await written(plain, handles)
    assert len(seen) > 20_000 and b"binary/encrypted" in seen
    assert readable(seen) == set()
    assert readable(kept(files)) == set()
    # Names are what the server works with.
    assert all(name in seen for name in (b"secretive", b"tell", b"Broken", b"Refused", b"near"))

    histories = [await handle.fetch_history() for handle in handles]
    replayer = Replayer(
        workflows=[],
        plugins=[DslPlugin()],
        data_converter=converter,
        header_codec_behavior=headers,
    )
    for history in histories:
        await replayer.replay_workflow(history)

    # After a reset the keys are the same: they come in a header.
    output = await handles[0].result()
    run = await _reset(plain, handles[0].id, histories[0])
    plugin = DslPlugin(activities=[tell, near, place, fail], definitions=tmp_path)
    async with Worker(client, task_queue=f"secret-{headers.name}", plugins=[plugin]):
        again = client.get_workflow_handle(handles[0].id, run_id=run)
        await client.start_workflow("listener", id="listener", task_queue="nobody")
        assert await again.result() == output
        assert output["key"] == f"{histories[0].run_id}/tell"
    await client.get_workflow_handle("listener").terminate()


async def _reset(client: Client, id: str, history: WorkflowHistory) -> str:
    """Resets a run to its beginning; gives the new run."""
    [first, *_] = [
        event.event_id
        for event in history.events
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    request = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=id),
        reason="test",
        workflow_task_finish_event_id=first,
        request_id=str(uuid.uuid4()),
    )
    return (await client.workflow_service.reset_workflow_execution(request)).run_id


async def test_it_could_be_read_without_a_codec(
    server: tuple[Path, Client], tmp_path: Path
) -> None:
    """All of the secrets are sent: what the test above does not find was encrypted."""
    files, plain = server
    client = await of(plain.service_client.config.target_host, DataConverter.default)
    handles = await run_all(client, tmp_path, "open")
    assert set(SECRETS) - readable(await written(plain, handles)) == set()
    assert readable(kept(files)) == set(SECRETS)
