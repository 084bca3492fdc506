"""Definitions in files and folders, read again while a worker runs."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from dsl.catalogue import Catalogue
from dsl.diagnostics import Diagnostic, has_errors
from dsl.files import holds_definitions, yaml_files
from dsl.loader import Loaded, Named, load
from dsl.model.definition import Definition, canonical
from dsl.source import Source, Span
from dsl.syntax import read
from interpreter.definitions.store import MemoryStore, StoredDefinition, UnknownDefinitionError

__all__ = ["DirectoryStore", "Reload"]

_LIVE = "live"
_SECOND_LOOK = 0.05
"""Seconds after which a file that was there before and is not now is looked for again."""

_Signature: TypeAlias = tuple[str, int, int, int]
"""Resolved path, time of the last change, size, inode: a file with another one is read again."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What a reload did.

    One in which all is empty says that what was wrong before is right again.

    Args:
        changed: Names that are new or have another revision.
        removed: Names that there were before.
        diagnostics: What is wrong and was not reported yet.
        kept: All names whose last good revision goes on being served, because their file is bad
            now or cannot be reached.
    """

    changed: tuple[str, ...]
    removed: tuple[str, ...]
    diagnostics: list[Diagnostic]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Content:
    """What a file says in one of its states: definitions, their normal forms, their places."""

    definitions: list[Definition] = field(default_factory=list[Definition])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    places: dict[str, Named] = field(default_factory=dict[str, Named])
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])

    @property
    def ok(self) -> bool:
        return not has_errors(self.diagnostics)


@dataclass(slots=True)
class _File:
    """A file: the content it had when it was read last, and the one that is served."""

    signature: _Signature | None
    latest: _Content
    served: _Content = field(default_factory=_Content)


@dataclass(frozen=True, slots=True)
class _Scan:
    """The files that there are, and the paths of which that cannot be told, with the reason."""

    found: dict[Path, _Signature] = field(default_factory=dict[Path, _Signature])
    lost: dict[Path, str] = field(default_factory=dict[Path, str])

    def is_lost(self, path: Path) -> bool:
        return any(path.is_relative_to(lost) for lost in self.lost)


class DirectoryStore:
    """Definitions of files and folders. Their revision is the start of their digest.

    A file is taken over as a whole or not at all: with an error in it, or a name that another
    file has, what it said before goes on being served. A half-written file is a bad one until
    the next look; who wants to be sure writes beside it and renames.

    Args:
        paths: The files and folders.
        catalogue: The activities that there are; their use is not checked without.
    """

    def __init__(self, paths: Sequence[Path], catalogue: Catalogue | None = None) -> None:
        self._paths = tuple(paths)
        self._catalogue = catalogue
        self._files: dict[Path, _File] = {}
        self._texts: dict[str, str] = {}
        self._kept: tuple[str, ...] = ()
        self._diagnostics: list[Diagnostic] = []
        self._table = MemoryStore([])

    @property
    def names(self) -> list[str]:
        """The names of all definitions."""
        return self._table.names

    async def get(
        self, name: str, revision: str | None = None, alias: str | None = None, draw: float = 0.0
    ) -> StoredDefinition:
        """See `DefinitionStore.get`."""
        if alias not in (None, _LIVE):
            raise UnknownDefinitionError(
                f"definitions of a folder have no alias {alias}; the only one is {_LIVE}, "
                "what the files say now"
            )
        return await self._table.get(name, revision)

    def load(self) -> Loaded:
        """Reads everything and takes over the good files, for the first time."""
        self._reload()
        served = [d for file in self._files.values() for d in file.served.definitions]
        return Loaded(served, list(self._diagnostics))

    async def watch(self, report: Callable[[Reload], None], period: float = 0.5) -> None:
        """Looks for changes, for ever.

        It looks instead of being told: a network mount tells nobody, and what a swapped symlink
        or a remounted volume tells differs from system to system. To look costs a few system
        calls a file.

        Args:
            report: Is told of each reload that changed something, or found something wrong.
            period: Seconds between two looks.
        """
        while True:
            await asyncio.sleep(period)
            reload = await asyncio.to_thread(self._reload)
            if reload is not None:
                report(reload)

    def _reload(self) -> Reload | None:
        """Takes over what is different; None where there is nothing to tell."""
        scan = self._scan()
        self._files = self._read(scan)
        contents, refused = _choose(self._files)
        for path, file in self._files.items():
            file.served = contents[path]
        kept = tuple(
            name
            for path, file in self._files.items()
            if file.served is not file.latest or scan.is_lost(path)
            for name in file.served.texts
        )
        diagnostics = [self._unreachable(path, reason) for path, reason in scan.lost.items()]
        for path, file in self._files.items():
            diagnostics += file.latest.diagnostics + refused.get(path, [])

        texts = {name: text for file in contents.values() for name, text in file.texts.items()}
        before = self._texts
        changed = tuple(name for name, text in texts.items() if before.get(name) != text)
        removed = tuple(name for name in before if name not in texts)
        if changed or removed:
            self._table = MemoryStore(d for file in contents.values() for d in file.definitions)
            self._texts = texts
        known = set(self._diagnostics)
        same = kept == self._kept and known == set(diagnostics)
        self._kept, self._diagnostics = kept, diagnostics
        if same and not changed and not removed:
            return None
        return Reload(changed, removed, [d for d in diagnostics if d not in known], kept)

    def _scan(self) -> _Scan:
        """Looks at all paths; twice where a file is gone, which may just be being replaced."""
        scan = _look(self._paths)
        if all(path in scan.found or scan.is_lost(path) for path in self._files):
            return scan
        time.sleep(_SECOND_LOOK)
        return _look(self._paths)

    def _read(self, scan: _Scan) -> dict[Path, _File]:
        """The files that there are, read where they are new or differ."""
        files: dict[Path, _File] = {}
        for path, signature in scan.found.items():
            file = self._files.get(path)
            if file is None or file.signature != signature:
                known = path in self._paths or (file is not None and bool(file.served.texts))
                content = self._content(path, known)
                served = file.served if file is not None else _Content()
                # What could not be read need not change before it can be.
                again = any(d.code == "DSL001" for d in content.diagnostics)
                file = _File(None if again else signature, content, served)
            files[path] = file
        lost = {p: file for p, file in self._files.items() if p not in files and scan.is_lost(p)}
        return files | lost

    def _content(self, path: Path, known: bool) -> _Content:
        """What a file says: nothing where it is not `known` to hold definitions, and holds none."""
        if not known and not holds_definitions(path):
            return _Content()
        source, diagnostics = read(path)
        if source is None:
            return _Content(diagnostics=diagnostics)
        places: dict[str, Named] = {}
        loaded = load(source, self._catalogue, places)
        texts = {definition.name: canonical(definition) for definition in loaded.definitions}
        return _Content(loaded.definitions, texts, places, loaded.diagnostics)

    def _unreachable(self, path: Path, reason: str) -> Diagnostic:
        message = f"it cannot be reached: {reason[:1].lower()}{reason[1:]}"
        known = any(file.is_relative_to(path) for file in self._files)
        hint = "what was read from it before goes on being served" if known else None
        return Diagnostic("DSL001", message, Source(str(path), ""), Span(0, 0), hint)


def _look(roots: Sequence[Path]) -> _Scan:
    """Looks at files and folders."""
    scan = _Scan()
    seen: set[str] = set()
    for root in roots:
        for path in _below(root, scan.lost):
            try:
                status = path.stat()
            except FileNotFoundError as error:
                if path == root:  # a mount that is gone for a moment is no order to drop all
                    scan.lost[path] = _reason(error)
                continue
            except OSError as error:
                scan.lost[path] = _reason(error)
                continue
            real = os.path.realpath(path)
            if stat.S_ISREG(status.st_mode) and real not in seen:
                seen.add(real)
                scan.found[path] = (real, status.st_mtime_ns, status.st_size, status.st_ino)
    return scan


def _below(root: Path, lost: dict[Path, str]) -> list[Path]:
    """The files below a folder that may hold definitions; the path itself if it is none."""
    if not os.path.isdir(root):  # unlike Path.is_dir, False where that cannot be told
        return [root]
    return yaml_files(root, lambda error: lost.update({Path(error.filename): _reason(error)}))


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _choose(
    files: dict[Path, _File],
) -> tuple[dict[Path, _Content], dict[Path, list[Diagnostic]]]:
    """What to serve of each file so that names are unique, and what is wrong where they are not.

    A file that cannot have all its names falls back to what is served of it. That may take a name
    from another file, so all are looked at again; to serve what is served now is always possible.
    """
    chosen = {p: file.latest if file.latest.ok else file.served for p, file in files.items()}
    refused: dict[Path, list[Diagnostic]] = {}
    while (clash := _clash(files, chosen)) is not None:
        name, winner, loser = clash
        refused[loser] = [_duplicate(name, files[loser].latest, chosen[winner])]
        chosen[loser] = files[loser].served
    return chosen, refused


def _clash(files: dict[Path, _File], chosen: dict[Path, _Content]) -> tuple[str, Path, Path] | None:
    """A name that two files have, the file that may keep it, and the other."""
    owners: dict[str, Path] = {}
    for path, content in chosen.items():
        for name in content.texts:
            other = owners.setdefault(name, path)
            if other != path:
                served = name in files[path].served.texts
                return (name, path, other) if served else (name, other, path)
    return None


def _duplicate(name: str, content: _Content, other: _Content) -> Diagnostic:
    source, span = content.places[name]
    there, at = other.places[name]
    position = there.position(at.start)
    hint = f"the other is at {there.name}:{position.line}:{position.column}"
    return Diagnostic("DSL409", f"two definitions are named `{name}`", source, span, hint)
