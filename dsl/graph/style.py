"""The colours and signs of pictures, in light and in dark."""

from __future__ import annotations

from collections.abc import Container, Iterator

from dsl.graph.parts import Icon

__all__ = ["COLOURS", "GLYPHS", "ICONS", "INK", "MONOSPACED", "SANS", "css", "status_colour"]

SANS = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Helvetica, Arial, sans-serif"
MONOSPACED = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace"

ICONS = {
    # Strokes in a square of 16.
    Icon.WORK: "M6.6 3.3L6.9 1.5L9.1 1.5L9.4 3.3L10.3 3.7L11.8 2.6L13.4 4.2L12.3 5.7L12.7 6.6"
    "L14.5 6.9L14.5 9.1L12.7 9.4L12.3 10.3L13.4 11.8L11.8 13.4L10.3 12.3L9.4 12.7"
    "L9.1 14.5L6.9 14.5L6.6 12.7L5.7 12.3L4.2 13.4L2.6 11.8L3.7 10.3L3.3 9.4L1.5 9.1"
    "L1.5 6.9L3.3 6.6L3.7 5.7L2.6 4.2L4.2 2.6"
    "L5.7 3.7ZM8 5.8a2.2 2.2 0 1 0 0 4.4a2.2 2.2 0 1 0 0-4.4",
    Icon.FLOW: "M1.5 2.5h6v4h-6zM8.5 9.5h6v4h-6zM4.5 6.5v5h4",
    Icon.SIGNAL: "M1.5 3.5h13v9h-13zM1.5 4l6.5 5l6.5-5",
    Icon.CLOCK: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13M8 4.5V8l2.5 2",
    Icon.CONDITION: "M4 1.5h8M4 14.5h8M4.5 1.5c0 4 3.5 4.5 3.5 6.5s-3.5 2.5-3.5 6.5"
    "M11.5 1.5c0 4-3.5 4.5-3.5 6.5s3.5 2.5 3.5 6.5",
    Icon.DATA: "M2 6h12M2 10h12",
    Icon.CHOICE: "M8 1.5l6.5 6.5l-6.5 6.5l-6.5-6.5z",
    Icon.PARALLEL: "M5 2v12M11 2v12",
    Icon.EACH: "M2 4h12M2 8h12M2 12h12",
    Icon.REPEAT: "M13.5 8a5.5 5.5 0 1 1-1.8-4.1M13.7 1v3.3h-3.3",
    Icon.ERROR: "M9.5 1.5L4 9h4L6.5 14.5L12 7H8z",
    Icon.UNDO: "M5 2.5L2 5.5l3 3M2.5 5.5h7a4 4 0 0 1 0 8H5",
    Icon.DONE: "M2.5 8.5l3.5 3.5l7.5-8",
    Icon.LEAVE: "M9 2.5H2.5v11H9M6.5 8h8M11.5 5l3 3l-3 3",
    Icon.NEXT: "M2 8h11.5M9.5 4l4 4l-4 4",
    Icon.FLAG: "M3.5 15V1.5M3.5 2h9l-2 3.2l2 3.3h-9",
    Icon.RULE: "M1.5 8a6.5 6.5 0 1 0 13 0a6.5 6.5 0 1 0-13 0M5 8.3l2.2 2.2l4-4.5",
}

GLYPHS = {
    Icon.WORK: "",
    Icon.FLOW: "⧉",
    Icon.SIGNAL: "✉",
    Icon.CLOCK: "⏱",
    Icon.CONDITION: "⏳",
    Icon.DATA: "",
    Icon.CHOICE: "◇",
    Icon.PARALLEL: "∥",
    Icon.EACH: "≡",
    Icon.REPEAT: "↻",
    Icon.ERROR: "⚡",
    Icon.UNDO: "↶",
    Icon.DONE: "✓",
    Icon.LEAVE: "↗",
    Icon.NEXT: "→",
    Icon.FLAG: "⚑",
    Icon.RULE: "✓",
}
"""The signs as characters, for Mermaid."""

# A class: its fill and its stroke in light, then in dark.
COLOURS = {
    "task": ("#eef4fd", "#3f6fb5", "#15233a", "#6c9be0"),
    "wait": ("#fff5dc", "#b67b00", "#2f2611", "#d6a13a"),
    "data": ("#f5f6f8", "#8792a2", "#1d232b", "#77828f"),
    "decision": ("#e9f6f3", "#2b8272", "#11291f", "#4fae97"),
    "case": ("#e9f6f3", "#2b8272", "#11291f", "#4fae97"),
    "bar": ("#e6e9ef", "#64708a", "#2a313c", "#8592a6"),
    "label": ("#eceff3", "#eceff3", "#262d36", "#262d36"),
    "error": ("#fdeeee", "#c93636", "#351a1c", "#ee7070"),
    "undo": ("#f7effc", "#8a43ad", "#291a33", "#bd82da"),
    "return": ("#e8f6ec", "#2a8a4a", "#12291a", "#55b575"),
    "raise": ("#fdeeee", "#c93636", "#351a1c", "#ee7070"),
    "jump": ("#f5f6f8", "#5b6675", "#1d232b", "#93a0b0"),
    "start": ("#2a8a4a", "#2a8a4a", "#55b575", "#55b575"),
    "end": ("#ffffff", "#4a5568", "#10151c", "#a3afbd"),
    "pivot": ("none", "#a1472b", "none", "#e08b6d"),
    "frame": ("#f7f8fa", "#a7b1bf", "#161c24", "#505c6a"),
    # Statuses of a run.
    "is-none": ("#f8f9fa", "#98a2b0", "#181e26", "#5f6b79"),
    "is-pending": ("#f8f9fa", "#98a2b0", "#181e26", "#5f6b79"),
    "is-skipped": ("#f8f9fa", "#b9c1cb", "#14191f", "#454f5b"),
    "is-completed": ("#e3f5e8", "#25813f", "#10301b", "#4fb86f"),
    "is-caught": ("#f1f5dc", "#75851b", "#292d10", "#b3c04e"),
    "is-running": ("#e3eefd", "#1f66c9", "#122746", "#62a1f5"),
    "is-waiting": ("#fff3d1", "#b27700", "#33270c", "#dda63a"),
    "is-failed": ("#fde6e6", "#c42727", "#3c1719", "#f07474"),
    "is-timed_out": ("#fde6e6", "#c42727", "#3c1719", "#f07474"),
    "is-compensation_failed": ("#fde6e6", "#c42727", "#3c1719", "#f07474"),
    "is-cancelled": ("#f0ece6", "#85745a", "#2a2620", "#b3a184"),
    "is-suspended": ("#fbe6f5", "#b0258a", "#381430", "#e575c6"),
    "is-compensated": ("#f1e6f9", "#8138a8", "#2a1738", "#be80df"),
}
INK = ("#1d2733", "#e4eaf1")
_FAINT = ("#55606f", "#a0acba")
_PAPER = ("#ffffff", "#10151c")
_WIRE = ("#5a6675", "#93a0b0")


_FIXED = {
    ".name": "font-size:20px;font-weight:600",
    ".prose": "font-size:13px",
    ".title": "font-size:13px;font-weight:600",
    ".code": f"font-size:11px;font-family:{MONOSPACED}",
    ".small": "font-size:11px",
    ".mid": "text-anchor:middle",
    ".shape": "stroke-width:1.5",
    ".end .shape": "stroke-width:4",
    ".return .shape, .raise .shape, .jump .shape": "stroke-width:2.5",
    ".icon, .wire": "fill:none;stroke-linecap:round;stroke-linejoin:round",
    ".icon": "stroke-width:1.4",
    ".wire": "stroke-width:1.6",
    ".dash, .undo .shape, .is-skipped .shape": "stroke-dasharray:5 4",
    ".frame": "stroke-width:1.2",
    ".frame.finally, .frame.undo": "stroke-dasharray:6 4",
    ".badge .shape": "stroke-width:1;stroke-dasharray:none",
}


def status_colour(status: str | None) -> str:
    """The name of the colour of a status; the plain one where there is none, or it is not known."""
    name = f"is-{status}"
    return name if name in COLOURS else "is-none"


def css(used: Container[str]) -> str:
    """The style of a picture: its fonts, its colours in light, its colours in dark.

    Args:
        used: The names of the colours that are needed.
    """
    return "\n".join(
        [
            f".dsl-graph{{font-family:{SANS}}}",
            *(_rule(selector, body) for selector, body in _FIXED.items()),
            *_coloured(0, used),
            "@media (prefers-color-scheme:dark){",
            *_coloured(1, used),
            "}",
        ]
    )


def _coloured(mode: int, used: Container[str]) -> Iterator[str]:
    """The rules of light (0) or of dark (1)."""
    yield _rule(".paper", f"fill:{_PAPER[mode]}")
    yield _rule("text", f"fill:{INK[mode]}")
    yield _rule(".code, .small, .prose", f"fill:{_FAINT[mode]}")
    yield _rule(".frame", "fill:{};stroke:{}".format(*COLOURS["frame"][2 * mode :]))
    # A frame in a frame has another colour, so that both are seen.
    yield _rule(".odd", f"fill:{_PAPER[mode]}")
    yield _rule(".frame.undo", f"stroke:{COLOURS['undo'][2 * mode + 1]}")
    yield _rule(".icon, .wire", f"stroke:{_WIRE[mode]}")
    yield _rule(".tip", f"fill:{_WIRE[mode]}")
    for name, colours in COLOURS.items():
        if name in used:
            fill, stroke = colours[2 * mode : 2 * mode + 2]
            yield _rule(f".{name} .shape", f"fill:{fill};stroke:{stroke}")
            yield _rule(f".{name} .icon, .{name} .wire", f"stroke:{stroke}")
            yield _rule(f".{name} .tip", f"fill:{stroke}")


def _rule(selector: str, body: str) -> str:
    scoped = ", ".join(f".dsl-graph {one}" for one in selector.split(", "))
    return f"{scoped}{{{body}}}"
