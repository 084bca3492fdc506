"""Diagnostics in the forms that programs read: records, GitHub's annotations, SARIF."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dsl.diagnostics import CODES, Diagnostic, Related, Severity
from interpreter.cli.places import region, visible, visible_lines

__all__ = ["counts", "github", "records", "sarif", "severity", "summary", "where"]


def severity(diagnostic: Diagnostic, strict: bool) -> Severity:
    """How bad a mistake is; to the strict all are errors."""
    return Severity.ERROR if strict else diagnostic.severity


def counts(found: Sequence[Diagnostic], strict: bool = False) -> tuple[int, int]:
    """How many errors and warnings."""
    errors = sum(severity(diagnostic, strict) is Severity.ERROR for diagnostic in found)
    return errors, len(found) - errors


def summary(found: Sequence[Diagnostic], strict: bool = False) -> str:
    """How many errors and warnings, in words."""
    errors, warnings = counts(found, strict)
    parts = [_plural(errors, "error")] if errors else []
    parts += [_plural(warnings, "warning")] if warnings else []
    return ", ".join(parts) or "no problems"


def where(found: Sequence[Diagnostic], files: int) -> str:
    """In which of so many files diagnostics are; nothing where there are none."""
    names = dict.fromkeys(diagnostic.source.name for diagnostic in found)
    return f"{len(names)} of {files} files" if names and files > 1 else visible(", ".join(names))


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def records(found: Iterable[Diagnostic], strict: bool = False) -> list[dict[str, Any]]:
    """Diagnostics as JSON. Lines and columns count from 1; an end is the place behind the last."""
    return [_record(diagnostic, strict) for diagnostic in found]


def _record(diagnostic: Diagnostic, strict: bool) -> dict[str, Any]:
    start, end = region(diagnostic.source, diagnostic.span)
    return {
        "code": diagnostic.code,
        "title": CODES[diagnostic.code].title,
        "severity": str(severity(diagnostic, strict)),
        "file": diagnostic.source.name,
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "related": [_other(related) for related in diagnostic.related],
    }


def _other(related: Related) -> dict[str, Any]:
    start = related.source.position(related.span.start)
    place = {"file": related.source.name, "line": start.line, "column": start.column}
    return {"message": related.message} | place


def github(found: Iterable[Diagnostic], strict: bool = False) -> list[str]:
    """Diagnostics as the commands that make GitHub annotate a change."""
    return [_annotation(diagnostic, strict) for diagnostic in found]


def _annotation(diagnostic: Diagnostic, strict: bool) -> str:
    start, end = region(diagnostic.source, diagnostic.span)
    place: dict[str, Any] = {"file": _from_root(diagnostic.source.name), "line": start.line}
    # GitHub takes columns only of what is on one line.
    columns = {"col": start.column, "endLine": end.line, "endColumn": end.column}
    place |= columns if start.line == end.line else {"endLine": end.line}
    place["title"] = f"{diagnostic.code} {CODES[diagnostic.code].title}"
    properties = ",".join(f"{name}={_property(value)}" for name, value in place.items())
    # Its log shows nothing but the text, which names the place again for that.
    lines = [f"{diagnostic.place}: {diagnostic.message}"]
    lines += [f"{other.message}: {other.place}" for other in diagnostic.related]
    lines += [f"hint: {diagnostic.hint}"] if diagnostic.hint else []
    text = _data("\n".join(lines))
    return f"::{severity(diagnostic, strict)} {properties}::{text}"


def _data(text: str) -> str:
    return visible_lines(text).replace("%", "%25").replace("\n", "%0A")


def _property(value: object) -> str:
    return _data(str(value)).replace(":", "%3A").replace(",", "%2C")


def _from_root(name: str) -> str:
    """A path as GitHub knows it: from the repository's root, which need not be where we are."""
    if name == "<stdin>":
        return name
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    path = Path(os.path.abspath(name))
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def sarif(found: Sequence[Diagnostic], strict: bool = False) -> dict[str, Any]:
    """Diagnostics as a log in SARIF 2.1.0, the format of GitHub's code scanning and of editors."""
    from importlib.metadata import version

    codes = sorted({diagnostic.code for diagnostic in found})
    rules = [_rule(code) for code in codes]
    driver = {"name": "temporal-dsl", "version": version("temporal-dsl"), "rules": rules}
    results = [_result(diagnostic, codes, strict) for diagnostic in found]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }


def _rule(code: str) -> dict[str, Any]:
    from dsl.reference.codes import explanations

    explanation = explanations()[code]
    return {
        "id": code,
        "shortDescription": {"text": explanation.code.title},
        "fullDescription": {"text": explanation.why},
        "help": {"text": " ".join(filter(None, (explanation.why, explanation.fix)))},
        "defaultConfiguration": {"level": str(explanation.code.severity)},
    }


def _result(diagnostic: Diagnostic, codes: list[str], strict: bool) -> dict[str, Any]:
    hint = f"\nhint: {diagnostic.hint}" if diagnostic.hint else ""
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": str(severity(diagnostic, strict)),
        "message": {"text": diagnostic.message + hint},
        "locations": [{"physicalLocation": _physical(diagnostic)}],
    }
    if diagnostic.related:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": other.message}, "physicalLocation": _physical(other)}
            for number, other in enumerate(diagnostic.related)
        ]
    return result


def _physical(where: Diagnostic | Related) -> dict[str, Any]:
    start, end = region(where.source, where.span)
    return {
        "artifactLocation": {"uri": _uri(where.source.name)},
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        },
    }


def _uri(name: str) -> str:
    path = Path(_from_root(name))
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))
