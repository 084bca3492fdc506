"""A carrier's web service, small but real: it takes parcels over HTTP and remembers them.

    python carrier.py [PORT]

It refuses what is fragile (a `sku` that begins with `fragile-`), and it honours the header
`Idempotency-Key`: a request that comes again gets the first answer, and no second parcel is sent.

    POST /shipments         {"order_id", "sku", "quantity"}   201 {"tracking"} or 422 {"error"}
    POST /cancellations     {"order_id", "sku"}               200 {"cancelled": [tracking, ...]}
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from ledger import opened, transaction

__all__ = ["serve"]


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def server_bind(self) -> None:
        # Without HTTPServer's own, which asks the DNS for this machine's name: it may take seconds.
        TCPServer.server_bind(self)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        routes = {"/shipments": _ship, "/cancellations": _cancel}
        route = routes.get(self.path)
        if route is None:
            self._answer(404, {"error": "there is nothing here"})
            return
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            status, answer = route(self.headers.get("Idempotency-Key", ""), body)
        except (KeyError, TypeError, ValueError) as error:
            status, answer = 400, {"error": f"a bad request: {error}"}
        self._answer(status, answer)

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the worker's own log is what one reads."""


def _ship(key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    order_id, sku, quantity = str(body["order_id"]), str(body["sku"]), int(body["quantity"])
    if not key:
        return 400, {"error": "the header Idempotency-Key is missing"}
    if sku.startswith("fragile-"):
        return 422, {"error": f"we do not carry fragile goods such as {sku}"}
    with opened() as db, transaction(db):
        db.execute(
            "INSERT INTO carrier_shipments (key, order_id, sku, quantity) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (key) DO NOTHING",
            (key, order_id, sku, quantity),
        )
        row = db.execute("SELECT number FROM carrier_shipments WHERE key = ?", (key,)).fetchone()
    return 201, {"tracking": _tracking(row[0])}


def _cancel(key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    which = (str(body["order_id"]), str(body["sku"]))
    with opened() as db, transaction(db):
        db.execute(
            "UPDATE carrier_shipments SET cancelled = 1 WHERE order_id = ? AND sku = ?", which
        )
        rows = db.execute(
            "SELECT number FROM carrier_shipments WHERE order_id = ? AND sku = ? ORDER BY number",
            which,
        ).fetchall()
    return 200, {"cancelled": [_tracking(number) for (number,) in rows]}


def _tracking(number: int) -> str:
    return f"TRK-{number:06d}"


def serve(port: int = 0) -> tuple[ThreadingHTTPServer, str]:
    """Start the service in a thread of its own, on the loopback interface.

    Args:
        port: The port; 0 takes a free one.

    Returns:
        The server (`shutdown()` stops it) and its address, such as `http://127.0.0.1:40123`.
    """
    server = _Server(("127.0.0.1", port), _Handler)
    threading.Thread(target=server.serve_forever, name="carrier", daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


if __name__ == "__main__":
    running, address = serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(address, flush=True)
    threading.Event().wait()
