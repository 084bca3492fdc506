"""Text to definitions: the front end in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dsl.catalogue import Catalogue
from dsl.check import check
from dsl.diagnostics import Diagnostic, has_errors
from dsl.model.bind import bind
from dsl.model.definition import Definition
from dsl.model.normal import normalise
from dsl.source import Source, Span
from dsl.syntax import Mapping, Node, compose, read

__all__ = ["Loaded", "load", "load_files", "load_text"]


@dataclass(slots=True)
class Loaded:
    """What was read.

    Args:
        definitions: The definitions without errors, in their normal form, in the order of the text.
        diagnostics: All that is wrong.
    """

    definitions: list[Definition] = field(default_factory=list[Definition])
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])

    @property
    def ok(self) -> bool:
        """Whether nothing stops the definitions from running."""
        return not has_errors(self.diagnostics)


def load(source: Source, catalogue: Catalogue | None = None) -> Loaded:
    """Reads the definitions of a text.

    Args:
        source: The text.
        catalogue: The activities that there are; their use is not checked without.
    """
    documents, diagnostics = compose(source)
    loaded = Loaded(diagnostics=diagnostics)
    if not documents and not diagnostics:
        message = "there is no definition in it"
        hint = "it begins with `dsl: 1`"
        loaded.diagnostics.append(Diagnostic("DSL005", message, source, Span(0, 0), hint))
    names: dict[str, Node] = {}
    for document in documents:
        definition, found = bind(document, source)
        if definition is not None:
            assert isinstance(document, Mapping)
            found += check(definition, document, source, catalogue)
            entry = document.get("name")
            assert entry is not None
            first = names.setdefault(definition.name, entry.value)
            if first is not entry.value:
                found.append(
                    Diagnostic(
                        "DSL409",
                        f"two definitions are named `{definition.name}`",
                        source,
                        entry.value.span,
                        related=(("first defined here", first.span),),
                    )
                )
            if not has_errors(found):
                loaded.definitions.append(normalise(definition))
        loaded.diagnostics += found
    loaded.diagnostics.sort(key=Diagnostic.order)
    return loaded


def load_text(text: str, name: str = "<text>", catalogue: Catalogue | None = None) -> Loaded:
    """Reads the definitions of a text that is at hand."""
    return load(Source(name, text), catalogue)


def load_files(paths: Iterable[Path], catalogue: Catalogue | None = None) -> Loaded:
    """Reads the definitions of files."""
    result = Loaded()
    for path in paths:
        source, diagnostics = read(path)
        result.diagnostics += diagnostics
        if source is not None:
            loaded = load(source, catalogue)
            result.definitions += loaded.definitions
            result.diagnostics += loaded.diagnostics
    return result


def definition_files(path: Path) -> Sequence[Path]:
    """The files below a folder that may hold definitions; the path itself if it is none."""
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*") if p.suffix in (".yaml", ".yml") and p.is_file())
