"""SVG: XML with nothing in it that is not ours, the same every time, readable in light and dark."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import HealthCheck, given, settings

from dsl.graph import Format, State, States, draw
from dsl.graph.build import picture
from dsl.graph.style import COLOURS, INK
from dsl.graph.table import rows
from dsl.model.definition import Definition
from tests.cli.support import EXAMPLE, cli
from tests.graph.support import EVERYTHING, NASTY, definitions, known, read

NAMESPACE = "{http://www.w3.org/2000/svg}"
TAGS = {"svg", "title", "desc", "style", "g", "rect", "circle", "path", "text"}
ATTRIBUTES = {
    *("class", "role", "width", "height", "viewBox", "x", "y", "rx", "cx", "cy", "r", "d"),
    "transform",
}


def check_svg(definition: Definition, states: States | None = None) -> ElementTree.Element:
    """Checks that a picture is XML with only such things in it as a picture has.

    Raises:
        AssertionError: if it is not.
    """
    text = draw(definition, Format.SVG, states)
    root = ElementTree.fromstring(text)
    for element in root.iter():
        assert element.tag.removeprefix(NAMESPACE) in TAGS
        assert set(element.attrib) <= ATTRIBUTES, element.attrib
    assert [child.tag.removeprefix(NAMESPACE) for child in root[:2]] == ["title", "desc"]
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    assert root.attrib["viewBox"] == f"0 0 {width} {height}"
    for rect in root.iter(f"{NAMESPACE}rect"):
        x, y = (int(rect.attrib.get(name, 0)) for name in ("x", "y"))
        assert 0 <= x <= x + int(rect.attrib["width"]) <= width
        assert 0 <= y <= y + int(rect.attrib["height"]) <= height
    return root


def tooltips(root: ElementTree.Element) -> str:
    return "\n".join(title.text or "" for title in root.iter(f"{NAMESPACE}title"))


def states_of(definition: Definition) -> States:
    """A run in which every step has some status."""
    keys = [row.node.key for row in rows(picture(definition).body) if row.node.key]
    statuses = [name.removeprefix("is-") for name in COLOURS if name.startswith("is-")][1:]
    steps = {key: State(statuses[at % len(statuses)], "3/10") for at, key in enumerate(keys)}
    return States("<run>", "running", steps)


def test_all_definitions() -> None:
    for definition in known().values():
        root = check_svg(definition)
        check_svg(definition, states_of(definition))
        for row in rows(picture(definition).body):
            if row.node.key:  # what is cut short in the picture is whole in the tooltip
                assert row.node.title in tooltips(root)
                assert all(code in tooltips(root) for code in row.node.code)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(definitions())
def test_random_definitions(definition: Definition) -> None:
    check_svg(definition)
    check_svg(definition, states_of(definition))


@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts_are_shown_as_they_are(text: str) -> None:
    steps = [{"id": "a", "activity": "x", "description": text}]
    definition = Definition.model_validate({"dsl": 1, "name": "x", "steps": steps})
    shown = tooltips(check_svg(definition))
    wanted = (c for c in text if c == "\u200d" or (c.isprintable() and not c.isspace()))
    assert "".join(wanted) in "".join(shown.split())


def test_nothing_is_fetched() -> None:
    text = draw(read(EVERYTHING), Format.SVG).replace(NAMESPACE.strip("{}"), "")
    assert not re.search(r"https?:|url\(|@import|<script|href", text)


def test_the_same_every_time() -> None:
    first, second = (
        cli("graph", EXAMPLE / "workflow.yaml", "--format", "html", env={"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    )
    assert first.code == 0 and first.out == second.out


def luminance(colour: str) -> float:
    """How bright a colour is, as WCAG reckons it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    dark, bright = sorted((luminance(a), luminance(b)))
    return (bright + 0.05) / (dark + 0.05)


def test_every_colour_has_its_rules_in_light_and_in_dark() -> None:
    definition = read(EVERYTHING)
    drawn = draw(definition, Format.SVG) + draw(definition, Format.SVG, states_of(definition))
    for name in COLOURS:
        rules = re.findall(rf"\.{name} \.shape\{{fill:[^}}]+\}}", drawn)
        assert len(set(rules)) == 2 or name == "frame", name


def test_texts_can_be_read_on_every_colour() -> None:
    faint = re.findall(r"\.code, [^{]*\.prose\{fill:(#\w{6})\}", draw(read(EVERYTHING), Format.SVG))
    assert len(faint) == 2
    for name, colours in COLOURS.items():
        for mode in (0, 1):
            fill = colours[2 * mode]
            if fill.startswith("#") and name != "start":  # which has no text
                assert contrast(fill, INK[mode]) >= 7, name
                assert contrast(fill, faint[mode]) >= 4.5, name
