"""Writes what is generated, or says whether it is up to date.

python -m dsl.reference            writes the files
python -m dsl.reference --check    says whether they are up to date
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dsl.reference.docs import pages
from dsl.reference.schema import workflow_schema

_ROOT = Path(__file__).parent.parent.parent


def _files() -> dict[Path, str]:
    """Each generated file with its text."""
    schema = json.dumps(workflow_schema(), indent=2, ensure_ascii=False) + "\n"
    files = {_ROOT / "schemas" / "workflow.schema.json": schema}
    return files | {_ROOT / "docs" / "reference" / name: text for name, text in pages().items()}


def _main(arguments: list[str]) -> int:
    files = _files()
    if "--check" not in arguments:
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return 0
    old = [file for file, text in files.items() if not file.exists() or file.read_text() != text]
    for file in old:
        print(f"{file.relative_to(_ROOT)} is out of date: run `make schema`", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
