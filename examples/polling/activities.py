"""What the steps of workflow.yaml do: three requests to a print shop.

The shop is `printshop.py`, started in a thread when it is first needed; PRINT_URL names another.
The idempotency key goes into a header, as with the APIs of real services: the shop knows a
repeated request by it.

    python examples/polling/activities.py

prints the shop's jobs and what it was asked.
"""

import functools
import json
import os
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

import printshop
from temporalio import activity
from temporalio.exceptions import ApplicationError

from interpreter.activities import idempotency_key

HTTP = build_opener(ProxyHandler({}))


@functools.cache
def own_shop() -> str:
    """The address of the shop that runs in this process."""
    return printshop.serve()[1]


def ask(method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Send a request. What the shop refuses is final; any other error is tried again."""
    url = (os.environ.get("PRINT_URL") or own_shop()) + path
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


@activity.defn(name="print.submit")
def submit(reference: str, document: str, pages: int) -> dict[str, Any]:
    """Hand in a job."""
    body = {"reference": reference, "document": document, "pages": pages}
    return ask("POST", "/jobs", body)


@activity.defn(name="print.look")
def look(job: int) -> dict[str, Any]:
    """Look how far a job is."""
    return ask("GET", f"/jobs/{job}")


@activity.defn(name="print.cancel")
def cancel(reference: str) -> dict[str, Any]:
    """Cancel what is still open under a reference; gives the numbers of those jobs."""
    return ask("DELETE", f"/jobs?reference={quote(reference, safe='')}")


def main() -> None:
    """Print what the shop knows."""
    with printshop.opened() as db:
        for table in ("jobs", "requests"):
            rows = db.execute(f"SELECT * FROM {table} ORDER BY number")
            print(f"{table}: {', '.join(column[0] for column in rows.description)}")
            for row in rows:
                print("  " + "  ".join(map(str, row)))


if __name__ == "__main__":
    main()
