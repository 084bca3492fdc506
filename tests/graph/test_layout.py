"""What a picture looks like: nothing lies over anything else, and everything is connected."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from hypothesis import HealthCheck, given, settings

from dsl.graph import Format, draw
from dsl.graph.blocks import Border, Box, Frame, Item, Line, Wire, Word
from dsl.graph.build import picture
from dsl.graph.parts import Choice, Group, Guarded, Loop, Node, Part, Series, Shape, Split
from dsl.graph.parts import Frame as Kind
from dsl.graph.scene import Scene, scene
from dsl.graph.text import SMALL, Style, width
from dsl.loader import load_text
from dsl.model.definition import Definition
from dsl.syntax import MAX_DEPTH
from tests.graph.support import definitions, known

Area = tuple[int, int, int, int]
"""Left, top, right, bottom."""
Point = tuple[int, int]


def area(item: Box | Frame) -> Area:
    return item.x, item.y, item.x + item.width, item.y + item.height


def points(wire: Wire) -> list[Point]:
    return [(x + wire.x, y + wire.y) for x, y in wire.points]


def overlap(a: Area, b: Area) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def inside(inner: Area, outer: Area) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and inner[2] <= outer[2]
        and inner[3] <= outer[3]
    )


def on_border(point: Point, where: Area) -> bool:
    x, y = point
    left, top, right, bottom = where
    across = left <= x <= right and y in (top, bottom)
    return across or (top <= y <= bottom and x in (left, right))


def on_wire(point: Point, wire: Wire) -> bool:
    x, y = point
    return any(
        min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by)
        for (ax, ay), (bx, by) in pairwise(points(wire))
    )


def text_area(line: Line, style: Style, x: int, y: int) -> Area:
    wide = width(line.text, style)
    left = x + line.x - (wide // 2 if line.middle else 0)
    return left, y + line.y - style.size, left + wide, y + line.y + style.size // 4


def texts(item: Box | Frame) -> Iterator[Area]:
    for line in item.lines:
        if line.style is None:
            x, y = item.x + line.x, item.y + line.y
            yield x, y, x + 13, y + 13
        else:
            yield text_area(line, line.style, item.x, item.y)


def reach(item: Item) -> Area:
    """The area that a shape takes."""
    match item:
        case Box() | Frame():
            return area(item)
        case Wire():
            xs, ys = zip(*points(item), strict=True)
            return min(xs), min(ys), max(xs), max(ys)
        case Border():
            return item.x - 10, item.y - 10, item.x + 10, item.y + 10
        case Word():
            return item.x, item.y - 10, item.x + width(item.text, SMALL), item.y + 3


def dead(part: Part) -> tuple[bool, bool]:
    """Whether the flow never leaves a part; whether something in it is never reached."""
    match part:
        case Node():
            return part.ends, False
        case Series(parts):
            found = [dead(one) for one in parts]
            after = any(ends for ends, _ in found[:-1])
            return any(ends for ends, _ in found), after or any(lost for _, lost in found)
        case Choice(then=body):
            return False, dead(body)[1]
        case Loop():
            ends, lost = dead(part.body)
            return False, lost or (ends and not part.before)
        case Group():
            ends, lost = dead(part.body)
            return ends and part.frame is not Kind.EACH, lost
        case Split():
            found = [dead(branch.body) for branch in part.branches]
            return all(ends for ends, _ in found), any(lost for _, lost in found)
        case Guarded():
            inner = [part.body, *(one.body for one in part.handlers)]
            found = [dead(one) for one in inner]
            undo = [dead(part.undo)] if part.undo is not None else []
            cleanup = [dead(part.cleanup)] if part.cleanup is not None else []
            ends = all(ends for ends, _ in found) or any(ends for ends, _ in cleanup)
            return ends, any(lost for _, lost in found + undo + cleanup)


def check_definition(definition: Definition) -> None:
    """Checks the picture of a definition.

    Raises:
        AssertionError: if something must not be as it is.
    """
    shown = picture(definition)
    check(scene(shown), connected=not dead(shown.body)[1])


def check(whole: Scene, connected: bool) -> None:
    """Checks what must hold of every picture.

    Args:
        whole: The picture.
        connected: Whether every step is reached.

    Raises:
        AssertionError: if it does not.
    """
    boxes = [item for item in whole.items if isinstance(item, Box)]
    frames = [item for item in whole.items if isinstance(item, Frame)]
    wires = [item for item in whole.items if isinstance(item, Wire)]
    words = [item for item in whole.items if isinstance(item, Word)]
    everything = (0, 0, whole.width, whole.height)
    for item in whole.items:
        assert inside(reach(item), everything), item
    for line in whole.head:
        assert line.style is None or inside(text_area(line, line.style, 0, 0), everything), line
    for entry in whole.legend:
        end = entry.x + 34 + width(entry.text, SMALL)
        assert inside((entry.x, entry.y - 10, end, entry.y + 10), everything), entry
    for a, b in combinations(boxes, 2):
        assert not overlap(area(a), area(b)), (a, b)
    for a, b in combinations(frames, 2):
        one, other = area(a), area(b)
        apart = not overlap(one, other)
        assert apart or inside(one, other) or inside(other, one), (a, b)
    titles = [line for frame in frames for line in texts(frame)]
    for box in boxes:
        for frame in frames:
            apart = not overlap(area(box), area(frame))
            assert apart or inside(area(box), area(frame)), (box, frame)
        for line in titles:
            assert not overlap(area(box), line), (box, line)
        for word in words:
            assert not overlap(area(box), reach(word)), (box, word)
    for item in (*boxes, *frames):
        for line in texts(item):
            assert inside(line, area(item)), (item, line)
        for a, b in combinations(list(texts(item)), 2):
            assert not overlap(a, b), item
    check_wires(wires, boxes, frames, titles)
    for box in boxes if connected else ():
        if box.node.shape is not Shape.START:
            assert any(on_border(points(wire)[-1], area(box)) for wire in wires), box


def check_wires(
    wires: list[Wire], boxes: list[Box], frames: list[Frame], titles: list[Area]
) -> None:
    """Checks that wires are straight, cross no text, and lead somewhere."""
    borders = [area(item) for item in (*boxes, *frames)]
    for wire in wires:
        for (ax, ay), (bx, by) in pairwise(points(wire)):
            assert ax == bx or ay == by, wire
            line = (min(ax, bx), min(ay, by), max(ax, bx) + 1, max(ay, by) + 1)
            for box in boxes:
                left, top, right, bottom = area(box)
                assert not overlap(line, (left + 1, top + 1, right - 1, bottom - 1)), (wire, box)
            for title in titles:
                assert not overlap(line, title), (wire, title)
        if wire.arrow:
            end = points(wire)[-1]
            others = (other for other in wires if other is not wire)
            target = any(on_border(end, border) for border in borders)
            assert target or any(on_wire(end, other) for other in others), wire


def test_pictures_of_all_definitions() -> None:
    for name, definition in known().items():
        try:
            check_definition(definition)
        except AssertionError as error:
            raise AssertionError(name) from error
    assert len(known()) > 100


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(definitions())
def test_pictures_of_random_definitions(definition: Definition) -> None:
    check_definition(definition)


def test_the_deepest_picture() -> None:
    lines, pad = ["dsl: 1", "name: deep", "steps:"], "  "
    keys = ("if: input.x", "timeout: 1h", "catch: [{output: 1}]", "finally: [{sleep: 1s}]", "do:")
    for level in range((MAX_DEPTH - 4) // 2):
        lines += [f"{pad}- description: level {level}", *(f"{pad}  {key}" for key in keys)]
        pad += "    "
    definition = load_text("\n".join([*lines, f"{pad}- sleep: 1s"])).definitions[0]
    check_definition(definition)
    for format in Format:
        assert "level 47" in draw(definition, format)
