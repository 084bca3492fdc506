"""What the steps of workflow.yaml do: requests to a service that has documents signed.

The service is `signing_service.py`, and what it calls back is `gateway.py`. Both are started in
threads of the worker when they are first needed; SIGNING_URL and CALLBACK_URL name others, and then
CALLBACK_SECRET must be the gateway's.

    python examples/document-signing/activities.py

prints the service's books, and our archive.
"""

import asyncio
import functools
import json
import os
from typing import Any, TypedDict
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

import gateway
import signing_service
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key

HTTP = build_opener(ProxyHandler({}))


class Envelope(TypedDict):
    """A document at the service."""

    envelope: int
    state: str


class Signed(TypedDict):
    """What the callback brings; the gateway sees to it that it does."""

    signature: str


@functools.cache
def own_service() -> str:
    """The address of the service that runs in this process."""
    return signing_service.serve()[1]


@functools.cache
def own_gateway(client: Client, loop: asyncio.AbstractEventLoop) -> str:
    """The address of the gateway that runs in this process."""
    return gateway.serve(client, loop)[1]


def ask(method: str, path: str, body: Any = None) -> Any:
    """Send a request. What the service refuses is final; any other error is tried again."""
    url = (os.environ.get("SIGNING_URL") or own_service()) + path
    headers = {"Idempotency-Key": idempotency_key(), "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    try:
        with HTTP.open(Request(url, data, headers, method=method), timeout=10) as response:
            return json.load(response)
    except HTTPError as error:
        if error.code >= 500:
            raise
        message = json.load(error)["error"]
        raise ApplicationError(message, type="Refused", non_retryable=True) from None


@activity.defn(name="signing.send")
def send(reference: str, document: str, signer: str) -> Envelope:
    """Hand in a document."""
    body = {"reference": reference, "document": document, "signer": signer}
    return ask("POST", "/envelopes", body)


@activity.defn(name="signing.wait")
async def wait(envelope: int) -> Signed:
    """Say whom to call once somebody has signed. This ends here; the callback completes it."""
    base = os.environ.get("CALLBACK_URL")
    if not base:
        base = own_gateway(activity.client(), asyncio.get_running_loop())
    url = f"{base}/callbacks/{gateway.sealed(activity.info().task_token)}"
    await asyncio.to_thread(ask, "PUT", f"/envelopes/{envelope}/callback", {"url": url})
    activity.raise_complete_async()


@activity.defn(name="signing.withdraw")
def withdraw(reference: str) -> dict[str, list[int]]:
    """Withdraw what is still open under a reference; gives the numbers of those envelopes."""
    return ask("DELETE", f"/envelopes?reference={quote(reference, safe='')}")


@activity.defn(name="archive.file")
def file(document: str, signature: str, released_by: str | None) -> dict[str, int]:
    """File a document that was signed; gives its number in the archive."""
    key = idempotency_key()
    with signing_service.opened() as db:
        db.execute(
            "INSERT INTO archive (key, document, signature, released_by) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (key) DO NOTHING",
            (key, document, signature, released_by),
        )
        (number,) = db.execute("SELECT number FROM archive WHERE key = ?", (key,)).fetchone()
    return {"number": number}


def main() -> None:
    """Print what the service knows, and what is filed."""
    with signing_service.opened() as db:
        for table in ("envelopes", "calls", "archive"):
            rows = db.execute(f"SELECT * FROM {table} ORDER BY number")
            print(f"{table}: {', '.join(column[0] for column in rows.description)}")
            for row in rows:
                print("  " + "  ".join(map(str, row)))


if __name__ == "__main__":
    main()
