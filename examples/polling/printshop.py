"""A print shop's web service, small but real: it takes jobs over HTTP and remembers them.

    python printshop.py [PORT]

It prints ten pages a second. A document whose name begins with `jam-` gets stuck half way, and jobs
of more than 100,000 pages are refused. It honours the header `Idempotency-Key`: a request that
comes again gets the first answer, and nothing is printed twice.

    POST   /jobs       {"reference", "document", "pages"}   201 job, or 422 {"error"}
    GET    /jobs/7                                          200 job, or 404 {"error"}
    DELETE /jobs?reference=...                              200 {"cancelled": [7, ...]}

A job is {"job", "state", "printed"}; its state is printing, done, stuck or cancelled.
"""

import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["opened", "serve"]

PAGES_A_SECOND = 10

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, reference TEXT NOT NULL,
    document TEXT NOT NULL, pages INTEGER NOT NULL, submitted REAL NOT NULL, cancelled REAL
);
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, request TEXT NOT NULL, status INTEGER NOT NULL
);
"""

Answer = tuple[int, dict[str, Any]]


@contextmanager
def opened() -> Generator[sqlite3.Connection]:
    """The shop's file, in a transaction: PRINT_DB, else polling.sqlite."""
    file = os.environ.get("PRINT_DB") or "polling.sqlite"
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";\n"):
            db.execute(statement)
        yield db
        db.execute("COMMIT")  # after an error there is none: closing rolls back


def _submit(db: sqlite3.Connection, key: str, body: dict[str, Any]) -> Answer:
    row = (key, str(body["reference"]), str(body["document"]), int(body["pages"]), time.time())
    if not key:
        return 400, {"error": "the header Idempotency-Key is missing"}
    if row[3] > 100_000:
        return 422, {"error": f"{row[3]} pages are too many for us"}
    db.execute(
        "INSERT INTO jobs (key, reference, document, pages, submitted) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO NOTHING",
        row,
    )
    (number,) = db.execute("SELECT number FROM jobs WHERE key = ?", (key,)).fetchone()
    return 201, _job(db, number)


def _look(db: sqlite3.Connection, number: str) -> Answer:
    row = db.execute("SELECT number FROM jobs WHERE number = ?", (number,)).fetchone()
    return (200, _job(db, row[0])) if row else (404, {"error": f"there is no job {number}"})


def _cancel(db: sqlite3.Connection, reference: str) -> Answer:
    rows = db.execute("SELECT number FROM jobs WHERE reference = ?", (reference,)).fetchall()
    open_ = [number for (number,) in rows if _job(db, number)["state"] in ("printing", "stuck")]
    for number in open_:
        db.execute("UPDATE jobs SET cancelled = ? WHERE number = ?", (time.time(), number))
    return 200, {"cancelled": open_}


def _job(db: sqlite3.Connection, number: int) -> dict[str, Any]:
    """A job as it is now: what is printed follows from the time that has passed."""
    document, pages, submitted, cancelled = db.execute(
        "SELECT document, pages, submitted, cancelled FROM jobs WHERE number = ?", (number,)
    ).fetchone()
    printed = min(pages, int(((cancelled or time.time()) - submitted) * PAGES_A_SECOND))
    stuck = document.startswith("jam-") and printed >= pages // 2
    if stuck:
        printed = pages // 2
    state = "stuck" if stuck else "done" if printed == pages else "printing"
    return {"job": number, "state": "cancelled" if cancelled else state, "printed": printed}


class _Server(ThreadingHTTPServer):
    def server_bind(self) -> None:
        # Without HTTPServer's own, which asks the DNS for this machine's name: it may take seconds.
        TCPServer.server_bind(self)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        self._answer(lambda db: _submit(db, self.headers.get("Idempotency-Key", ""), body))

    def do_GET(self) -> None:
        self._answer(lambda db: _look(db, self.path.rpartition("/")[2]))

    def do_DELETE(self) -> None:
        reference = parse_qs(urlsplit(self.path).query).get("reference", [""])[0]
        self._answer(lambda db: _cancel(db, reference))

    def _answer(self, act: Callable[[sqlite3.Connection], Answer]) -> None:
        with opened() as db:
            status, content = act(db)
            row = (time.time(), f"{self.command} {self.path}", status)
            db.execute("INSERT INTO requests (at, request, status) VALUES (?, ?, ?)", row)
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the worker's own log is what one reads."""


def serve(port: int = 0) -> tuple[ThreadingHTTPServer, str]:
    """Start the service in a thread; gives the server (`shutdown()` stops it) and its address."""
    server = _Server(("127.0.0.1", port), _Handler)
    threading.Thread(target=server.serve_forever, name="printshop", daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


if __name__ == "__main__":
    _, address = serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(address, flush=True)
    threading.Event().wait()
