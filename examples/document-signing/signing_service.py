"""A service that has documents signed, small but real: it takes them over HTTP and calls back.

    python signing_service.py [PORT]

Its people answer a second after it knows whom to call (SIGNING_DELAY, in seconds). One whose name
begins with `no-` declines, and one whose name begins with `away-` never answers. It honours the
header `Idempotency-Key`, and it calls until somebody has heard it: any status below 500.

    POST   /envelopes            {"reference", "document", "signer"}   201 {"envelope", "state"}
    PUT    /envelopes/7/callback {"url"}                               200 {"envelope", "state"}
    DELETE /envelopes?reference=...                                    200 {"withdrawn": [7, ...]}

It keeps its books in SIGNING_DB, else in document-signing.sqlite.
"""

import hashlib
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

__all__ = ["opened", "serve"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS envelopes (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, reference TEXT NOT NULL,
    document TEXT NOT NULL, signer TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open', url TEXT
);
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY, envelope INTEGER NOT NULL, state TEXT NOT NULL,
    status INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS archive (                -- ours, and not the service's
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, document TEXT NOT NULL,
    signature TEXT NOT NULL, released_by TEXT
);
"""
HTTP = build_opener(ProxyHandler({}))


@contextmanager
def opened(file: str | None = None) -> Generator[sqlite3.Connection]:
    """The books, in a transaction."""
    with closing(sqlite3.connect(file or _file(), timeout=30, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";\n"):
            db.execute(statement)
        yield db
        db.execute("COMMIT")  # after an error there is none: closing rolls back


def _file() -> str:
    return os.environ.get("SIGNING_DB") or "document-signing.sqlite"


def _envelope(db: sqlite3.Connection, column: str, value: Any) -> dict[str, Any]:
    (number, state) = db.execute(
        f"SELECT number, state FROM envelopes WHERE {column} = ?", (value,)
    ).fetchone()
    return {"envelope": number, "state": state}


def _call(file: str, number: int, thinks: bool) -> None:
    """The signer thinks, and answers; the caller is told, again and again until it listens."""
    if thinks:
        time.sleep(float(os.environ.get("SIGNING_DELAY") or 1))
    while True:
        with opened(file) as db:
            document, signer, state, url = db.execute(
                "SELECT document, signer, state, url FROM envelopes WHERE number = ?", (number,)
            ).fetchone()
            if signer.startswith("away-") or state == "withdrawn":
                return
            if state == "open":
                state = "declined" if signer.startswith("no-") else "signed"
                db.execute("UPDATE envelopes SET state = ? WHERE number = ?", (state, number))
        body: dict[str, str] = {"status": state}
        if state == "signed":
            body["signature"] = hashlib.sha256(f"{document} {signer}".encode()).hexdigest()
        else:
            body["reason"] = f"{signer} does not want to sign"
        headers = {"Content-Type": "application/json"}
        try:
            with HTTP.open(Request(url, json.dumps(body).encode(), headers), timeout=30) as answer:
                status = answer.status
        except HTTPError as error:
            status = error.code
        except (URLError, OSError):
            status = 0
        with opened(file) as db:
            row = (number, state, status)
            db.execute("INSERT INTO calls (envelope, state, status) VALUES (?, ?, ?)", row)
        if 0 < status < 500:
            return
        time.sleep(1)


class _Server(ThreadingHTTPServer):
    def server_bind(self) -> None:
        # Without HTTPServer's own, which asks the DNS for this machine's name: it may take seconds.
        TCPServer.server_bind(self)


class _Handler(BaseHTTPRequestHandler):
    def _body(self) -> dict[str, Any]:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def do_POST(self) -> None:
        body, key = self._body(), self.headers.get("Idempotency-Key", "")
        if not key:
            return self._answer(400, {"error": "the header Idempotency-Key is missing"})
        if body["document"] == "nonsense":
            return self._answer(422, {"error": "nobody can sign nonsense"})
        row = (key, body["reference"], body["document"], body["signer"])
        with opened() as db:
            db.execute(
                "INSERT INTO envelopes (key, reference, document, signer) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (key) DO NOTHING",
                row,
            )
            envelope = _envelope(db, "key", key)
        self._answer(201, envelope)

    def do_PUT(self) -> None:
        number, url = int(self.path.split("/")[2]), self._body()["url"]
        with opened() as db:
            db.execute("UPDATE envelopes SET url = ? WHERE number = ?", (url, number))
            envelope = _envelope(db, "number", number)
        told = (_file(), number, envelope["state"] == "open")
        threading.Thread(target=_call, args=told, daemon=True).start()
        self._answer(200, envelope)

    def do_DELETE(self) -> None:
        (reference,) = parse_qs(urlsplit(self.path).query)["reference"]
        with opened() as db:
            rows = db.execute(
                "UPDATE envelopes SET state = 'withdrawn' WHERE reference = ? AND state = 'open'"
                " RETURNING number",
                (reference,),
            ).fetchall()
        self._answer(200, {"withdrawn": [number for (number,) in rows]})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
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
    threading.Thread(target=server.serve_forever, name="signing", daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


if __name__ == "__main__":
    _, address = serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(address, flush=True)
    threading.Event().wait()
