"""What changes on the disk, and who else uses it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from interpreter.cli.errors import CliError

__all__ = ["Lock", "PythonFiles", "modules_of", "prepared"]

_ENVIRONMENT = "pyvenv.cfg"
_SKIPPED = ("node_modules", "__pycache__", "site-packages")
_SETTLES = 0.15
"""Seconds for which files must stay as they are: editors write more than once."""
_AT_MOST = 1.0
_PATIENCE = 3.0
"""How long a server of before may take to end."""


def prepared(folder: Path, db: Path | None) -> tuple[Path, Path]:
    """The folder of ours in a folder, and the file of the database.

    Raises:
        CliError: if they cannot be used.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "there is no such folder"
        hint = "name the folder with your definitions"
        raise CliError(f"{folder}: {what}", hint=hint)
    own = folder / ".temporal-dsl"
    try:
        own.mkdir(exist_ok=True)
        ignored = own / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n")
    except OSError as error:
        raise CliError(f"{own}: {error.strerror}: it keeps what `dev` runs") from None
    file = db if db is not None else own / "dev.sqlite"
    if not file.parent.is_dir():
        raise CliError(f"--db {file}: there is no folder {file.parent}")
    try:
        # What is missing is made by the server; SQLite takes an empty file for a database.
        begins = file.open("rb").read(16) if file.exists() else b""
    except OSError as error:
        raise CliError(f"{file}: {(error.strerror or str(error)).lower()}") from None
    if begins and begins != b"SQLite format 3\0":
        hint = "name another one with --db, or remove it"
        raise CliError(f"{file} is no database of SQLite", hint=hint)
    return own, file


class Lock:
    """A file that one process has, and those that it started with it.

    Args:
        path: The file.
        what: What is in use where somebody else has it.

    Raises:
        CliError: if somebody else has it.
    """

    def __init__(self, path: Path, what: Path) -> None:
        try:
            self._file: IO[str] = path.open("a+")
        except OSError as error:
            raise CliError(f"{path}: {error.strerror}") from None
        end = time.monotonic() + _PATIENCE
        while not _locked(self._file):
            self._file.seek(0)
            owner = self._file.read().strip()
            if time.monotonic() > end or _runs(owner):
                by = f" (process {owner})" if owner else ""
                hint = "one is enough: its worker follows all files below the folder"
                raise CliError(f"{what} is in use by another `temporal-dsl dev`{by}", hint=hint)
            time.sleep(0.05)
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def fileno(self) -> int:
        """Its descriptor: whoever inherits it has the lock too."""
        return self._file.fileno()


def _locked(file: IO[str]) -> bool:
    if sys.platform == "win32":  # which has no build of the server
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _runs(owner: str) -> bool:
    """Whether a process is there that is more than a server which is about to end."""
    try:
        os.kill(int(owner), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def modules_of(folder: Path, given: Sequence[str]) -> list[str]:
    """The modules with activities: those that are named, or those beside definitions."""
    from dsl.files import holds_definitions, yaml_files
    from interpreter.cli.inputs import activities_beside

    if given:
        return list(given)
    beside = {
        path.parent
        for path in yaml_files(folder, lambda error: None)
        if (path.parent / "activities.py").is_file() and holds_definitions(path)
    }
    return activities_beside([folder, *sorted(beside)])


class PythonFiles:
    """The Python files that activities may be made of.

    It looks instead of being told, as `DirectoryStore.watch` does.

    Args:
        folder: All files below it.
        given: Modules that were named: what lies beside them too, where they are elsewhere.
    """

    def __init__(self, folder: Path, given: Sequence[str]) -> None:
        self.folder = folder
        self.given = list(given)
        self._wanted = _wanted(folder, given)
        self.roots = [*self._wanted]
        self._seen = self._look()
        self._texts: dict[Path, str] = {}
        self._modules: list[str] = []
        self.changed_files: list[Path] = []
        self.pause = 0.0

    def _look(self) -> dict[Path, tuple[int, int, int]]:
        found: dict[Path, tuple[int, int, int]] = {}
        for root, deep in self._wanted.items():
            for path in _python_files(root, deep):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    found[path] = status.st_mtime_ns, status.st_size, status.st_ino
        return found

    def touched(self) -> bool:
        """Whether files were written since the last time, and are at rest now."""
        began = time.monotonic()
        now = self._look()
        self.pause = (time.monotonic() - began) * 10
        if now == self._seen:
            return False
        end = began + _AT_MOST
        while time.monotonic() < end:
            time.sleep(_SETTLES)
            before, now = now, self._look()
            if now == before:
                break
        self._seen = now
        return True

    def read(self) -> tuple[str, list[str]]:
        """What all files say, as a digest, and the modules with activities.

        `changed_files` are those that said something else the last time.
        """
        texts: dict[Path, str] = {}
        for path in sorted(self._look()):
            with contextlib.suppress(OSError):
                texts[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        both = sorted({*texts, *self._texts})
        self.changed_files = [path for path in both if texts.get(path) != self._texts.get(path)]
        self._texts = texts
        self._modules = modules_of(self.folder, self.given)
        whole = repr((sorted((str(path), text) for path, text in texts.items()), self._modules))
        return hashlib.sha256(whole.encode()).hexdigest(), self._modules

    def modules_changed(self) -> bool:
        """Whether there are other modules with activities than at the last reading."""
        return modules_of(self.folder, self.given) != self._modules


def _wanted(folder: Path, given: Sequence[str]) -> dict[Path, bool]:
    """The folders whose files may be imported, and whether all below them may.

    That is so of packages. What lies below the folder of a single module may be anything.
    """
    wanted = {folder.resolve(): True}
    for entry in given:
        file = Path(entry).expanduser() if entry.endswith(".py") else None
        top = Path(entry.partition(".")[0])
        here = file.parent if file is not None else top if top.is_dir() else Path()
        here = here.resolve()
        if not any(here.is_relative_to(one) and deep for one, deep in wanted.items()):
            while (here.parent / "__init__.py").is_file():
                here = here.parent
            wanted[here] = (here / "__init__.py").is_file() or (file is None and top.is_dir())
    return wanted


def _python_files(root: Path, deep: bool) -> Iterator[Path]:
    for here, folders, files in os.walk(root):
        if _ENVIRONMENT in files and Path(here) != root:
            folders.clear()
            continue
        if not deep:
            folders.clear()
        folders[:] = [name for name in folders if name[0] != "." and name not in _SKIPPED]
        yield from (Path(here, name) for name in files if name.endswith(".py"))
