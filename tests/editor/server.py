"""A real yaml-language-server, as an editor drives it: JSON-RPC over its standard streams."""

from __future__ import annotations

import itertools
import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

__all__ = ["CURSOR", "PROGRAM", "Completion", "Server"]

_PACKAGE = Path(__file__).parent / "node_modules" / "yaml-language-server"
PROGRAM = _PACKAGE / "bin" / "yaml-language-server"
CURSOR = "‸"
"""Where the cursor is in a text."""
_PATIENCE = 60.0
"""How long an answer may take, in seconds."""


@dataclass(frozen=True)
class Completion:
    """What an editor offers.

    Args:
        label: What the list shows.
        text: What is inserted.
        documentation: What is shown beside it.
    """

    label: str
    text: str
    documentation: str


class Server:
    """A language server and one document in it.

    Args:
        node: The program that runs it.
        schemas: The schema of each folder of documents: `{"plain": Path(...)}`.
        proxy: By what it would call the network.
    """

    def __init__(self, node: str, schemas: Mapping[str, Path], proxy: str) -> None:
        self._proxy = proxy
        self._settings = {
            "schemas": {file.as_uri(): f"/{folder}/*.yaml" for folder, file in schemas.items()},
            "schemaStore": {"enable": False},
            "validate": True,
            "hover": True,
            "completion": True,
        }
        self._process = subprocess.Popen(
            [node, str(PROGRAM), "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in: IO[bytes] = self._process.stdin
        self._ids = itertools.count(1)
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._diagnostics: queue.Queue[dict[str, Any]] = queue.Queue()
        out = self._process.stdout
        self._reader = threading.Thread(target=self._read, args=(out,), daemon=True)
        self._reader.start()
        self._configured = threading.Event()
        self._request("initialize", self._initial())
        self._notify("initialized", {})
        assert self._configured.wait(_PATIENCE)

    @staticmethod
    def _initial() -> dict[str, Any]:
        item = {"snippetSupport": True, "documentationFormat": ["markdown"]}
        return {
            "processId": None,
            "rootUri": None,
            "workspaceFolders": None,
            "capabilities": {
                "workspace": {"configuration": True},
                "textDocument": {
                    "completion": {"completionItem": item},
                    "hover": {"contentFormat": ["markdown"]},
                    "publishDiagnostics": {},
                },
            },
        }

    def close(self) -> None:
        """Ends it."""
        self._request("shutdown", None)
        self._notify("exit", None)
        self._process.wait(_PATIENCE)
        self._reader.join(_PATIENCE)
        self._in.close()

    def diagnostics(self, folder: str, text: str) -> list[str]:
        """What is underlined in a text: `line:column message`, each."""
        return self._said_of(self._open(folder, text))

    def diagnostics_of(self, file: Path) -> list[str]:
        """What is underlined in a file."""
        return self._said_of(self._open_as(file.as_uri(), file.read_text()))

    def _said_of(self, uri: str) -> list[str]:
        while (found := self._diagnostics.get(timeout=_PATIENCE))["uri"] != uri:
            pass
        return [
            f"{d['range']['start']['line'] + 1}:{d['range']['start']['character'] + 1} "
            f"{d['message']}"
            for d in found["diagnostics"]
        ]

    def completions(self, folder: str, text: str) -> list[Completion]:
        """What is offered at the cursor."""
        found = self._at_cursor("textDocument/completion", folder, text)
        return [_completion(item) for item in found["items"]]

    def hover(self, folder: str, text: str) -> str:
        """What is shown for what is under the cursor."""
        found = self._at_cursor("textDocument/hover", folder, text)
        return found["contents"]["value"] if found else ""

    def _at_cursor(self, method: str, folder: str, text: str) -> Any:
        before, _, after = text.partition(CURSOR)
        uri = self._open(folder, before + after)
        line = before.count("\n")
        column = len(before) - before.rfind("\n") - 1
        position = {"line": line, "character": column}
        return self._request(method, {"textDocument": {"uri": uri}, "position": position})

    def _open(self, folder: str, text: str) -> str:
        return self._open_as(f"file:///{folder}/{next(self._ids)}.yaml", text)

    def _open_as(self, uri: str, text: str) -> str:
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._notify("textDocument/didOpen", {"textDocument": document})
        return uri

    # --- messages

    def _request(self, method: str, params: Any) -> Any:
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        while (answer := self._answers.get(timeout=_PATIENCE))["id"] != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._in.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._in.flush()

    def _read(self, out: IO[bytes]) -> None:
        with out:
            while header := out.readline():
                length = 0
                while header.strip():
                    name, _, value = header.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                    header = out.readline()
                self._receive(json.loads(out.read(length)))

    def _receive(self, message: dict[str, Any]) -> None:
        match message:
            case {"method": "workspace/configuration", "id": id, "params": {"items": items}}:
                known = {"yaml": self._settings, "http": {"proxy": self._proxy}}
                wanted = [known.get(item.get("section"), {}) for item in items]
                self._send({"id": id, "result": wanted})
                self._configured.set()
            case {"method": _, "id": id}:
                self._send({"id": id, "result": None})
            case {"method": "textDocument/publishDiagnostics", "params": params}:
                self._diagnostics.put(params)
            case {"id": _}:
                self._answers.put(message)
            case _:
                pass


def _completion(item: dict[str, Any]) -> Completion:
    given = item.get("documentation") or ""
    documentation = given["value"] if isinstance(given, dict) else given
    edit = item.get("textEdit") or {}
    text = edit.get("newText") or item.get("insertText") or item["label"]
    return Completion(item["label"], text, documentation)
