"""Which files of a folder hold definitions."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable
from pathlib import Path

from dsl.source import Source
from dsl.syntax import MAX_BYTES, Mapping, compose

__all__ = ["holds_definitions", "yaml_files"]

_ENVIRONMENT = "pyvenv.cfg"
"""What every virtual environment of Python has in its folder."""
_BEGINS = re.compile(r"""^(?:---[ \t]+)?(["']?)dsl\1[ \t]*:(?=\s|\Z)""", re.MULTILINE)


def yaml_files(folder: Path, failed: Callable[[OSError], None]) -> list[Path]:
    """The YAML files below a folder, in their order.

    What is hidden is left out, and so are virtual environments and `node_modules`. Links to
    folders are not followed.

    Args:
        folder: The folder, which may be any of these itself.
        failed: Is told of folders that cannot be read.
    """
    found: list[Path] = []
    for here, folders, files in os.walk(folder, onerror=failed):
        if _ENVIRONMENT in files and Path(here) != folder:
            folders.clear()
            continue
        folders[:] = [name for name in folders if name[0] != "." and name != "node_modules"]
        yaml = [name for name in files if name.endswith((".yaml", ".yml")) and name[0] != "."]
        found += [Path(here, name) for name in yaml]
    return sorted(found)


def holds_definitions(path: Path) -> bool:
    """Whether a document in a file has the key `dsl`, or was meant to where it is no YAML.

    True where that cannot be told: who reads the file says why.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError:
        return True
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = raw.decode("utf-16" if wide else "utf-8-sig", "replace")
    if _BEGINS.search(text):
        return True
    if "dsl" not in text or len(raw) > MAX_BYTES:
        return False
    documents, _ = compose(Source(str(path), text))
    return any(isinstance(one, Mapping) and one.get("dsl") is not None for one in documents)
