"""A gateway: lets those outside complete activities over HTTP, and nothing else.

    CALLBACK_SECRET=... TEMPORAL_ADDRESS=... python gateway.py PORT

    POST /callbacks/<token>   {"status": "signed", "signature": "<64 hex digits>"}
                              {"status": "declined", "reason": "..."}

    200 done    400 no such answer    403 not a token of ours    410 nobody waits for it any more
    503 Temporal does not answer: come again

A token is the activity's task token and a signature of it: whoever has one may answer that one
question, once, and can make no other. In production TLS and a limit of requests stand before it.
"""

import asyncio
import base64
import functools
import hashlib
import hmac
import json
import os
import re
import secrets
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, cast

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

__all__ = ["opened", "sealed", "serve"]

MOST = 64 * 1024
"""The longest body that is read."""
PATIENCE = timedelta(seconds=10)
"""How long Temporal may take."""


@functools.cache
def _secret() -> bytes:
    """What this process signs with, where nobody else has to read it."""
    return secrets.token_bytes(32)


def _signature(token: bytes) -> bytes:
    given = os.environ.get("CALLBACK_SECRET")
    if not given and os.environ.get("CALLBACK_URL"):
        raise RuntimeError("CALLBACK_SECRET must be the one that the gateway has")
    return hmac.digest(given.encode() if given else _secret(), token, hashlib.sha256)


def sealed(token: bytes) -> str:
    """A task token for the world outside, signed: it fits into a path."""
    parts = (token, _signature(token))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def opened(text: str) -> bytes | None:
    """The task token in what `sealed` gave; None where it is anything else."""
    first = text.partition(".")[0]
    try:
        token = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4))
    except ValueError:
        return None
    return token if hmac.compare_digest(sealed(token).encode(), text.encode()) else None


def answer(body: bytes) -> dict[str, str] | ApplicationError:
    """The result or the error that a body stands for: nobody after us checks it.

    Raises:
        ValueError: It is no answer.
    """
    try:
        given = json.loads(body)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    match given:
        case {"status": "signed", "signature": str(text)} if re.fullmatch("[0-9a-f]{64}", text):
            return {"signature": text}
        case {"status": "declined", "reason": str(text)} if len(text) <= 500:
            text.encode()  # half a character is no text
            return ApplicationError(text, type="Declined", non_retryable=True)
        case _:
            raise ValueError("it is neither signed nor declined")


async def _complete(client: Client, token: bytes, given: dict[str, str] | ApplicationError) -> int:
    handle = client.get_async_activity_handle(task_token=token)
    try:
        if isinstance(given, ApplicationError):
            await handle.fail(given, rpc_timeout=PATIENCE)
        else:
            await handle.complete(given, rpc_timeout=PATIENCE)
    except RPCError as error:
        return 410 if error.status is RPCStatusCode.NOT_FOUND else 503
    except RuntimeError:  # there has never been a connection
        return 503
    return 200


class _Server(ThreadingHTTPServer):
    def __init__(self, port: int, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.client = client
        self.loop = loop

    def server_bind(self) -> None:
        # Without HTTPServer's own, which asks the DNS for this machine's name: it may take seconds.
        TCPServer.server_bind(self)


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # of each read

    def do_POST(self) -> None:
        status, content = self._asked()
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _asked(self) -> tuple[int, dict[str, str]]:
        place, _, sealed_token = self.path.rpartition("/")
        token = opened(sealed_token) if place == "/callbacks" else None
        if token is None:
            return 403, {"error": "this is no token of ours"}
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MOST:
            return 400, {"error": f"Content-Length must be at most {MOST}"}
        try:
            given = answer(self.rfile.read(int(length)))
        except ValueError as error:
            return 400, {"error": f"no answer: {error}"}
        server = cast("_Server", self.server)
        done = asyncio.run_coroutine_threadsafe(_complete(server.client, token, given), server.loop)
        status = done.result()
        if status == 200:
            return 200, {"status": "thanks"}
        gone = "nobody waits for this any more" if status == 410 else "come again"
        return status, {"error": gone}

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: a path is as good as a key, and belongs into no log."""


def serve(
    client: Client, loop: asyncio.AbstractEventLoop, port: int = 0
) -> tuple[ThreadingHTTPServer, str]:
    """Start the gateway in a thread.

    Args:
        client: Where the activities are.
        loop: The loop that the client belongs to.
        port: The port; 0 takes one that is free.

    Returns:
        The server (`shutdown()` stops it) and its address.
    """
    server = _Server(port, client, loop)
    threading.Thread(target=server.serve_forever, name="gateway", daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


async def _main() -> None:
    if not os.environ.get("CALLBACK_SECRET"):
        sys.exit("CALLBACK_SECRET is not set")
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config, lazy=True)
    _, address = serve(client, asyncio.get_running_loop(), int(sys.argv[1]))
    print(address, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
