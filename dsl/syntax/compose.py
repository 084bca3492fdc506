"""YAML text to nodes. Only this package imports yaml.

The events of PyYAML's parser are composed here, not by PyYAML: so that a hostile file is
refused while it is read (depth, expansion of aliases), plain scalars mean what YAML 1.2
says, and a second mistake of the same kind is reported together with the first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dsl.diagnostics import Diagnostic, Related
from dsl.source import Source, Span
from dsl.syntax.mistakes import syntax_error
from dsl.syntax.nodes import Entry, Mapping, Node, Scalar, Sequence
from dsl.syntax.scalars import NotInJson, resolve

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "compose", "decode", "read"]

MAX_BYTES = 4 * 1024 * 1024
"""The largest file that is read, in bytes."""
MAX_DEPTH = 100
"""The deepest nesting of maps and lists."""
MAX_NODES = 400_000
"""The most nodes of a document, each use of an alias counted in full."""

_TEXT_TAGS = frozenset((None, "!", "tag:yaml.org,2002:str"))
_OTHER_TAGS = frozenset((None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"))
_TAG = re.compile(r"!(<[^>\s]*>|[^\s,\[\]{}]*)")


def read(path: Path, name: str | None = None) -> tuple[Source | None, list[Diagnostic]]:
    """Reads a file as text.

    Args:
        path: The file.
        name: How messages call it; the path where none is given.
    """
    name = name or str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        if path.is_symlink():
            return _refused(name, "DSL001", "this is a link to a file that is not there")
        return _refused(name, "DSL001", "there is no such file", _nearby(path))
    except IsADirectoryError:
        return _refused(name, "DSL001", "this is a folder, not a file")
    except OSError as error:
        message = f"the file cannot be read: {error.strerror or error}"
        return _refused(name, "DSL001", message)
    source, diagnostics = decode(raw, name, size)
    if source is not None and path.suffix == ".json":
        # YAML takes no tabs for spaces. In JSON no text has one, so nothing else changes.
        source = Source(name, source.text.replace("\t", " "))
    return source, diagnostics


def decode(
    raw: bytes, name: str, size: int | None = None
) -> tuple[Source | None, list[Diagnostic]]:
    """Reads bytes as text.

    Args:
        raw: The bytes, or the first of them where they are too many.
        name: How messages call them.
        size: How many there are in all, where that is known.
    """
    if len(raw) > MAX_BYTES:
        there = f"{size:,}" if size and size > MAX_BYTES else f"more than {MAX_BYTES:,}"
        message = f"the file has {there} bytes; a definition may have {MAX_BYTES:,} at most"
        return _refused(name, "DSL002", message)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _refused(name, "DSL003", f"this is no text in UTF-8 (byte {error.start} is none)")
    if "\0" in text:
        return _refused(name, "DSL003", "this is no text: it has NUL bytes")
    return Source(name, text), []


def _refused(
    name: str, code: str, message: str, hint: str | None = None
) -> tuple[None, list[Diagnostic]]:
    return None, [Diagnostic(code, message, Source(name, ""), Span(0, 0), hint)]


def _end(event: Any) -> int:
    return event.end_mark.index


def _nearby(path: Path) -> str | None:
    from dsl.diagnostics import did_you_mean

    try:
        return did_you_mean(path.name, sorted(p.name for p in path.parent.iterdir()))
    except OSError:
        return f"there is no folder {path.parent} either"


def compose(source: Source) -> tuple[list[Node], list[Diagnostic]]:
    """Reads the documents of a YAML text.

    Returns:
        The documents that have any content, as far as the text can be read, and what is wrong.
    """
    if _FAST is not None:
        try:
            return _compose(source, _FAST)
        except yaml.YAMLError:
            pass  # the other reader knows better where, and why
    return _compose(source, yaml.SafeLoader)


_FAST: Any = getattr(yaml, "CSafeLoader", None)
"""The reader of libyaml, ten times as fast, where it is there."""


def _compose(source: Source, loader: Any) -> tuple[list[Node], list[Diagnostic]]:
    composer = _Composer(source, loader)
    documents: list[Node] = []
    try:
        for node in composer.documents():
            if not (isinstance(node, Scalar) and node.value is None and node.style == ""):
                documents.append(node)
    except _Refused as refused:
        composer.diagnostics.append(refused.diagnostic)
    except yaml.YAMLError as error:
        if loader is _FAST:
            raise
        composer.diagnostics.append(syntax_error(source, error))
    return documents, composer.diagnostics


class _Refused(Exception):
    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic


@dataclass(slots=True)
class _Composer:
    source: Source
    loader: Any
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict[str, tuple[Node, int]])

    def documents(self) -> Iterator[Node]:
        # The loader's events carry no types; one name for them keeps the rest typed.
        events: Any = yaml.parse(self.source.text, Loader=self.loader)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors.clear()
                node, _ = self.node(next(events), events, 1)
                yield node

    def node(self, event: Any, events: Any, depth: int) -> tuple[Node, int]:
        """Composes the node that `event` begins; returns it with its expanded size."""
        span = Span(event.start_mark.index, event.end_mark.index)
        if depth > MAX_DEPTH:
            self.refuse("DSL006", f"nested more than {MAX_DEPTH} levels deep", span)
        if isinstance(event, yaml.AliasEvent):
            anchor = self.anchors.get(str(event.anchor))
            if anchor is None:
                raise _Refused(
                    Diagnostic(
                        "DSL004",
                        f"the alias *{event.anchor} names no anchor before it",
                        self.source,
                        span,
                        f"a text that begins with * must be quoted: '*{event.anchor}'",
                    )
                )
            return anchor
        if not isinstance(event, yaml.ScalarEvent) and event.tag not in _OTHER_TAGS:
            self.refuse_tag(event, span)
        if isinstance(event, yaml.ScalarEvent):
            result: tuple[Node, int] = (self.scalar(event, span), 1)
        elif isinstance(event, yaml.SequenceStartEvent):
            result = self.sequence(events, depth, span)
        else:
            result = self.mapping(events, depth, span, bool(event.flow_style))
        if event.anchor:
            self.anchors[event.anchor] = result
        return result

    def sequence(self, events: Any, depth: int, span: Span) -> tuple[Node, int]:
        items: list[Node] = []
        size = 1
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            item, item_size = self.node(event, events, depth + 1)
            items.append(item)
            size = self.grown(size + item_size, span)
        return Sequence(tuple(items), Span(span.start, _end(event))), size

    def mapping(self, events: Any, depth: int, span: Span, flow: bool) -> tuple[Node, int]:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        size = 1
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key, _ = self.node(event, events, depth + 1)
            value, value_size = self.node(next(events), events, depth + 1)
            size = self.grown(size + value_size, span)
            if isinstance(key, Scalar) and key.value == "<<" and key.style == "":
                self.merge(value, merged)
                continue
            name = self.key_name(key)
            if name is None:
                continue
            assert isinstance(key, Scalar)
            if name in entries:
                first = Related("first defined here", self.source, entries[name].key.span)
                self.report("DSL008", f"the key `{name}` stands twice", key.span, related=first)
                continue
            entries[name] = Entry(key, name, value)
        for name, entry in merged.items():
            entries.setdefault(name, entry)
        return Mapping(tuple(entries.values()), Span(span.start, _end(event)), flow), size

    def merge(self, value: Node, merged: dict[str, Entry]) -> None:
        for part in value if isinstance(value, Sequence) else (value,):
            if not isinstance(part, Mapping):
                self.report("DSL004", "a merge key `<<` takes a map or a list of maps", part.span)
                continue
            for entry in part.entries:
                merged.setdefault(entry.name, entry)

    def key_name(self, key: Node) -> str | None:
        if isinstance(key, Scalar) and isinstance(key.value, str):
            return key.value
        shown = self.source.text[key.span.start : key.span.end][:40].strip()
        hint = f'write "{shown}"' if isinstance(key, Scalar) else None
        if (
            not isinstance(key, Scalar)
            and "${" in self.source.text[max(0, key.span.start - 1) :][:3]
        ):
            hint = "a text with ${ } inside { } or [ ] must be quoted"
        self.report("DSL010", "a key must be a text", key.span, hint)
        return None

    def scalar(self, event: Any, span: Span) -> Scalar:
        style = event.style or ""
        text: str = event.value
        tag: str | None = event.tag
        if tag not in _TEXT_TAGS:
            self.refuse_tag(event, span)
            if not text:  # `if: !done`: no more is said of the condition
                return Scalar(True, span, style, self.source)
        if style == '"' and "\\" in self.source.text[span.start : span.end]:
            text = self.joined(text, span)
        if style == "" and not text:
            at = len(self.source.text[: span.start].rstrip())
            span = Span(at, at)
        if style == "" and tag is None:
            try:
                return Scalar(resolve(text), span, style, self.source)
            except NotInJson:
                self.report(
                    "DSL011",
                    f"{text[:40]} is a number that JSON and 64 bits cannot hold",
                    span,
                    f'as a text: "{text[:40]}"',
                )
        return Scalar(text, span, style, self.source)

    def joined(self, text: str, span: Span) -> str:
        """A text whose surrogates, as JSON escapes them, are joined to characters."""
        try:
            text.encode()
        except UnicodeEncodeError:
            try:
                return text.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                self.report("DSL003", "half a character: a surrogate without its other half", span)
                return text.encode("utf-8", "replace").decode()
        return text

    def refuse_tag(self, event: Any, span: Span) -> None:
        found = _TAG.search(self.source.text, span.start)
        self.report(
            "DSL009",
            f"the tag {found.group() if found else event.tag} has no meaning here",
            Span(*found.span()) if found else span,
            "a text that begins with ! must be quoted; in an expression write `not`",
        )

    def grown(self, size: int, span: Span) -> int:
        if size > MAX_NODES:
            self.refuse(
                "DSL007", f"with its aliases expanded this has more than {MAX_NODES:,} values", span
            )
        return size

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        hint: str | None = None,
        related: Related | None = None,
    ) -> None:
        self.diagnostics.append(
            Diagnostic(
                code, message, self.source, span, hint, related=(related,) if related else ()
            )
        )

    def refuse(self, code: str, message: str, span: Span) -> None:
        raise _Refused(Diagnostic(code, message, self.source, span))
