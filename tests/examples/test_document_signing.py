"""document-signing: what the service and the gateway say to each other, and what becomes of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from tests.cli.support import environment
from tests.end_to_end.support import eventually
from tests.examples.support import EXAMPLES, Example, example, lose_answers, module, rows
from tests.examples.test_readmes import blocks, matches, project

HTTP = build_opener(ProxyHandler({}))
SIGNED = {"status": "signed", "signature": "0" * 64}
DECLINED = {"status": "declined", "reason": "no"}


@pytest.fixture(autouse=True)
def quick(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """People who do not think long."""
    monkeypatch.setenv("SIGNING_DELAY", "0.2")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def signing(server: WorkflowEnvironment) -> AsyncIterator[Example]:
    """The example in real time: HTTP takes its own."""
    async with example(server, "document-signing", "signing") as stage:
        yield stage


def envelopes(db: Path) -> list[tuple[str, str]]:
    """The signer and the state of each."""
    return rows(db, "SELECT signer, state FROM envelopes ORDER BY number")


def calls(db: Path) -> list[tuple[str, int]]:
    """What the service called back, and the answers."""
    return rows(db, "SELECT state, status FROM calls ORDER BY number")


def archive(db: Path) -> list[Any]:
    return rows(db, "SELECT document, released_by FROM archive ORDER BY number")


async def callback(db: Path) -> str:
    """Waits until the service knows whom to call, and gives that address."""
    sql = "SELECT url FROM envelopes WHERE url IS NOT NULL"
    return (await eventually("a callback's address", lambda: rows(db, sql)))[0][0]


async def post(url: str, body: Any, **headers: str) -> tuple[int, str]:
    """What the gateway says."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def send() -> tuple[int, str]:
        try:
            with HTTP.open(Request(url, data, headers), timeout=30) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(send)


async def test_signed(signing: Example, db: Path) -> None:
    ended = await signing.ended(await signing.start(signing.input()))
    assert (ended.status, ended.error) == ("completed", None)
    assert ended.output["status"] == "signed" and ended.output["released"] is None
    assert re.fullmatch("[0-9a-f]{64}", ended.output["signature"])
    assert envelopes(db) == [("ada", "signed")] and archive(db) == [("lease", None)]
    await eventually("the answer in the books", lambda: calls(db) == [("signed", 200)])


async def test_declined(signing: Example, db: Path) -> None:
    ended = await signing.ended(await signing.start(signing.input("declined")))
    assert (ended.status, ended.error, ended.undone) == ("completed", None, [])
    reason = "no-thanks-bob does not want to sign"
    assert ended.output == {"status": "declined", "reason": reason}
    assert envelopes(db) == [("no-thanks-bob", "declined")] and archive(db) == []


async def test_never_answered(signing: Example, db: Path) -> None:
    given = signing.input("unanswered", time_to_sign="1s")
    ended = await signing.ended(await signing.start(given))
    assert ended.error is not None and ended.error[0] == "Timeout"
    assert (ended.status, ended.undone) == ("compensated", ["send"])
    assert envelopes(db) == [("away-carol", "withdrawn")] and calls(db) == archive(db) == []
    assert 1 <= ended.seconds < 10
    assert (await post(await callback(db), SIGNED))[0] == 410


async def test_refused(signing: Example, db: Path) -> None:
    ended = await signing.ended(await signing.start(signing.input(document="nonsense")))
    assert ended.error == ("Refused", "nobody can sign nonsense")
    assert envelopes(db) == []


async def test_cancelled_while_it_waits(signing: Example, db: Path) -> None:
    """The step has nothing to undo, so nobody has to say how it ended."""
    handle = await signing.start(signing.input("unanswered", time_to_sign="1d"))
    await callback(db)
    await handle.cancel()
    ended = await signing.ended(handle)
    assert (ended.status, ended.undone) == ("cancelled", ["send"])
    assert envelopes(db) == [("away-carol", "withdrawn")] and ended.seconds < 10


# --- a person's word


async def decided(handle: WorkflowHandle[Any, Any], **word: Any) -> Any:
    return await handle.execute_update("decide", word)


async def test_released_and_the_first_word_counts(signing: Example, db: Path) -> None:
    handle = await signing.start(signing.input("large"))
    with pytest.raises(WorkflowUpdateFailedError):
        await decided(handle, approved="yes", by="grace")
    answer = await decided(handle, approved=True, by="grace")
    assert answer | {"at": ""} == {"approved": True, "by": "grace", "at": ""}
    assert re.match(r"20\d\d-\d\d-\d\dT", answer["at"])
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await decided(handle, approved=False, by="linus")
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.message == "grace has decided already"
    ended = await signing.ended(handle)
    assert ended.output["released"] == answer and archive(db) == [("merger", "grace")]


async def test_not_released(signing: Example, db: Path) -> None:
    for more, reason in (({}, "no reason was given"), ({"reason": "too dear"}, "too dear")):
        handle = await signing.start(signing.input("large"))
        await decided(handle, approved=False, by="grace", **more)
        ended = await signing.ended(handle)
        assert ended.output == {"status": "rejected", "by": "grace", "reason": reason}
    assert envelopes(db) == []


async def test_nobody_decides(signing: Example, db: Path) -> None:
    ended = await signing.ended(await signing.start(signing.input("large", time_to_decide="1s")))
    assert ended.error is not None and ended.error[0] == "Timeout"
    assert (ended.status, ended.undone, envelopes(db)) == ("failed", [], [])


async def test_nobody_is_asked_about_small_ones(signing: Example, db: Path) -> None:
    handle = await signing.start(signing.input("unanswered", time_to_sign="5s"))
    await callback(db)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await decided(handle, approved=True, by="grace")
    assert "needs nobody's word" in str(refused.value.cause)
    await handle.cancel()
    await signing.ended(handle)


# --- the gateway

# Bodies that are no answers.
WRONG: tuple[Any, ...] = (
    b"",
    b"{",
    b"\xff",
    b"[" * 60_000,
    [],
    None,
    {},
    {"status": "perhaps"},
    {"status": "signed"},
    {"status": "signed", "signature": "0" * 63},
    {"status": "signed", "signature": 7},
    {"status": "declined", "reason": None},
    {"status": "declined", "reason": "x" * 501},
    b'{"status": "declined", "reason": "\\ud800"}',
)


async def test_what_the_gateway_lets_in(signing: Example, db: Path) -> None:
    handle = await signing.start(signing.input("unanswered", time_to_sign="1m"))
    url = await callback(db)
    base, _, sealed = url.rpartition("/")
    token, _, signature = sealed.partition(".")
    other = "B" if token[10] == "A" else "A"
    forged = (
        f"{token[:10]}{other}{token[11:]}.{signature}",
        f"{token}.{signature[:-1]}",
        f"{token}.",
        token,
        f"{token}.{signature}.{signature}",
        f"{token}.{signature}=",
        f"{token}.{signature}%00",
        ".",
        "",
        "caf%C3%A9",
    )
    for one in forged:
        assert (await post(f"{base}/{one}", SIGNED))[0] == 403, one
    for place in (f"{base}/x/{sealed}", url.replace("/callbacks/", "/"), f"{url}?a=1"):
        assert (await post(place, SIGNED))[0] == 403, place
    for body in WRONG:
        status, said = await post(url, body)
        assert status == 400 and "error" in json.loads(said), body
    for length in ("-1", "x", "65537", "9" * 30):
        assert (await post(url, SIGNED, **{"Content-Length": length}))[0] == 400, length
    assert (await handle.query("status"))["status"] == "running"  # nothing of this got through
    assert await post(url, SIGNED) == (200, '{"status": "thanks"}')
    for again in (SIGNED, DECLINED):
        assert (await post(url, again))[0] == 410
    ended = await signing.ended(handle)
    assert ended.output["signature"] == SIGNED["signature"]
    assert (await post(url, DECLINED))[0] == 410


async def test_who_sends_nothing_is_sent_away(
    signing: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = module("document-signing").gateway
    monkeypatch.setattr(gateway._Handler, "timeout", 0.3)
    running, address = gateway.serve(signing.client, asyncio.get_running_loop())
    path = f"/callbacks/{gateway.sealed(b'token')}"

    def slow(text: str) -> bytes:
        with socket.create_connection(running.server_address[:2], timeout=30) as one:
            one.sendall(text.encode())
            return one.recv(1)

    try:
        for text in ("", "POST ", f"POST {path} HTTP/1.1\r\nContent-Length: 9\r\n\r\n{{"):
            assert await asyncio.to_thread(slow, text) == b""
        assert await post(f"{address}{path}", {}) == (
            400,
            '{"error": "no answer: it is neither signed nor declined"}',
        )
    finally:
        running.shutdown()
        running.server_close()


async def test_temporal_does_not_answer(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the service is to come again."""
    gateway = module("document-signing").gateway
    monkeypatch.setattr(gateway, "PATIENCE", timedelta(seconds=1))
    nobody = await Client.connect(f"127.0.0.1:{free_ports(1)[0]}", lazy=True)
    running, address = gateway.serve(nobody, asyncio.get_running_loop())
    try:
        url = f"{address}/callbacks/{gateway.sealed(b'token')}"
        assert await post(url, SIGNED) == (503, '{"error": "come again"}')
    finally:
        running.shutdown()
        running.server_close()


def test_without_the_secret(monkeypatch: pytest.MonkeyPatch, db: Path) -> None:
    gateway = module("document-signing").gateway
    token = gateway.sealed(b"token")
    assert gateway.opened(token) == b"token"
    monkeypatch.setenv("CALLBACK_URL", "http://127.0.0.1:1")
    with pytest.raises(RuntimeError, match="CALLBACK_SECRET"):
        gateway.sealed(b"token")
    monkeypatch.setenv("CALLBACK_SECRET", "another")
    assert gateway.opened(token) is None
    monkeypatch.delenv("CALLBACK_SECRET")
    file = EXAMPLES / "document-signing" / "gateway.py"
    done = subprocess.run(
        [sys.executable, file, "0"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "CALLBACK_SECRET is not set\n")


# --- what goes wrong on the way


async def test_answers_are_lost(
    signing: Example, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request is sent twice: one envelope, two callbacks, of which one counts."""
    monkeypatch.setenv("SIGNING_DELAY", "1.5")
    lost = lose_answers(monkeypatch, "document-signing", "ask")
    ended = await signing.ended(await signing.start(signing.input()))
    assert ended.output["status"] == "signed"
    assert [key.split("/", 1)[1] for key in lost] == ["send", "signed"]
    assert envelopes(db) == [("ada", "signed")] and len(archive(db)) == 1
    await eventually("both calls", lambda: len(calls(db)) == 2)
    assert sorted(calls(db)) == [("signed", 200), ("signed", 410)]


async def test_the_service_is_told_again_whom_to_call(
    signing: Example, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old address is worth nothing then, and the new one is called too."""
    monkeypatch.setenv("SIGNING_DELAY", "2")
    handle = await signing.start(signing.input(ask_again="1200ms"))
    first = await callback(db)
    await eventually("another address", lambda: rows(db, "SELECT url FROM envelopes") != [(first,)])
    assert (await post(first, DECLINED))[0] == 410
    ended = await signing.ended(handle)
    assert ended.output["status"] == "signed" and len(envelopes(db)) == 1
    assert ("signed", 200) in calls(db)


async def test_the_handing_over_is_lost(
    signing: Example, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the worker had died before it asked: nobody knows, until the attempt is over."""
    acts = module("document-signing")
    real = acts.ask
    methods: list[str] = []

    def ask(method: str, path: str, body: Any = None) -> Any:
        methods.append(method)
        return None if methods == ["POST", "PUT"] else real(method, path, body)

    monkeypatch.setattr(acts, "ask", ask)
    ended = await signing.ended(await signing.start(signing.input(ask_again="1s")))
    assert ended.output["status"] == "signed" and methods == ["POST", "PUT", "PUT"]
    assert 1 <= ended.seconds < 10


async def test_worker_and_gateway_are_down_when_it_calls(
    server: WorkflowEnvironment, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service calls until it is heard; another worker goes on."""
    acts = module("document-signing")
    [port] = free_ports(1)
    monkeypatch.setenv("CALLBACK_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("CALLBACK_SECRET", "of both")
    async with example(server, "document-signing", "signing-down") as stage:
        handle = await stage.start(stage.input())
        await callback(db)
    await eventually("a call that nobody took", lambda: ("signed", 0) in calls(db))
    loop = asyncio.get_running_loop()
    running, _ = acts.gateway.serve(server.client, loop, port)
    try:
        await eventually("a call that was heard", lambda: ("signed", 200) in calls(db))
        async with example(server, "document-signing", "signing-down") as stage:
            ended = await stage.ended(handle)
    finally:
        running.shutdown()
        running.server_close()
    assert ended.output["status"] == "signed" and archive(db) == [("lease", None)]
    assert calls(db)[-1] == ("signed", 200)


# --- the README


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens to."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def test_the_scripts_of_the_readme(tmp_path: Path) -> None:
    folder = project(tmp_path)
    script = "".join(blocks("document-signing", "sh"))
    for known, free in zip((7233, 8701, 8702), free_ports(3), strict=True):
        assert str(known) in script
        script = script.replace(str(known), str(free))
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            process.wait(timeout=60)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    expected = [
        '"by": "grace"',
        "COMPLETED",
        '"status":"signed"',
        '"kind": "update"',
        '"path": "signed"',
        '{"error": "nobody waits for this any more"}',
        '{"error": "no answer: it is neither signed nor declined"}',
        '{"error": "this is no token of ours"}',
    ]
    printed = log.read_text()
    assert "Traceback" not in printed, printed
    for line in expected:
        assert line in printed, printed
    assert matches(expected[-3:], printed), printed
