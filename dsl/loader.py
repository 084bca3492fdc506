"""Text to definitions: the front end in one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dsl.catalogue import Catalogue
from dsl.check import MAX_STEPS, Calls, check, count_steps
from dsl.diagnostics import Diagnostic, Related, has_errors
from dsl.model.bind import bind
from dsl.model.definition import Definition, canonical
from dsl.model.normal import normalise
from dsl.source import Source, Span
from dsl.syntax import Mapping, compose, compose_json, read

__all__ = ["Loaded", "is_normal", "load", "load_files", "load_text", "load_texts"]


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


Named = tuple[Source, Span]
"""Where a definition got its name."""


def load(
    source: Source,
    catalogue: Catalogue | None = None,
    names: dict[str, Named] | None = None,
    calls: Calls | None = None,
) -> Loaded:
    """Reads the definitions of a text.

    Args:
        source: The text.
        catalogue: The activities that there are; their use is not checked without.
        names: The names of definitions that were read before; those of this text are added.
        calls: What definitions run of one another; checked by who gives it, when all are read.
    """
    documents, diagnostics = compose(source)
    loaded = Loaded(diagnostics=diagnostics)
    if not documents and not diagnostics:
        message = "there is no definition in it"
        hint = "it begins with `dsl: 1`"
        loaded.diagnostics.append(Diagnostic("DSL005", message, source, Span(0, 0), hint))
    names = {} if names is None else names
    known = Calls() if calls is None else calls
    for document in documents:
        if (count := count_steps(document)) > MAX_STEPS:
            message = f"the definition has {count:,} steps, {MAX_STEPS:,} are allowed"
            at = Span(document.span.start, document.span.start + 1)
            loaded.diagnostics.append(Diagnostic("DSL108", message, source, at))
            continue
        bound = bind(document, source)
        found = bound.diagnostics + check(bound, document, source, catalogue, known)
        if isinstance(document, Mapping):
            found += _claim(document, source, names)
        if bound.definition is not None and not has_errors(found):
            loaded.definitions.append(normalise(bound.definition))
        loaded.diagnostics += found
    if calls is None:
        loaded.diagnostics += known.check()
    loaded.diagnostics.sort(key=Diagnostic.order)
    return loaded


def _claim(document: Mapping, source: Source, names: dict[str, Named]) -> list[Diagnostic]:
    """Notes the name of a definition; two of one name are a mistake."""
    entry = document.get("name")
    name = entry.value.data() if entry is not None else None
    if entry is None or not isinstance(name, str):
        return []
    span = entry.value.span
    if name not in names:
        names[name] = (source, span)
        return []
    first, there = names[name]
    message = f"two definitions are named `{name}`"
    related = (Related("first defined here", first, there),)
    return [Diagnostic("DSL409", message, source, span, related=related)]


def load_text(text: str, name: str = "<text>", catalogue: Catalogue | None = None) -> Loaded:
    """Reads the definitions of a text that is at hand."""
    return load(Source(name, text), catalogue)


def is_normal(text: str) -> bool:
    """Whether a text is a valid definition in its normal form, as `canonical` writes it.

    Quicker than to load it, and without a word of why not.
    """
    source = Source("<normal form>", text)
    document = compose_json(source)
    if document is None or count_steps(document) > MAX_STEPS:
        return False
    bound = bind(document, source)
    if bound.definition is None or bound.diagnostics:
        return False
    found = check(bound, document, source, None)
    return not has_errors(found) and canonical(normalise(bound.definition)) == text


def load_files(paths: Iterable[Path], catalogue: Catalogue | None = None) -> Loaded:
    """Reads the definitions of files."""
    return load_texts(map(read, paths), catalogue)


def load_texts(
    texts: Iterable[tuple[Source | None, list[Diagnostic]]], catalogue: Catalogue | None = None
) -> Loaded:
    """Reads the definitions of texts, no two of which may have one name.

    Args:
        texts: What `read` gives of each.
        catalogue: The activities that there are; their use is not checked without.
    """
    result = Loaded()
    names: dict[str, Named] = {}
    calls = Calls()
    for source, diagnostics in texts:
        result.diagnostics += diagnostics
        if source is not None:
            loaded = load(source, catalogue, names, calls)
            result.definitions += loaded.definitions
            result.diagnostics += loaded.diagnostics
    result.diagnostics += calls.check()
    return result
