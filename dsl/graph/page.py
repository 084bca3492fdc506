"""A picture as a page for a browser: one file that needs nothing from outside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape

from dsl.graph.parts import Picture
from dsl.graph.states import States
from dsl.graph.style import GLYPHS, MONOSPACED, SANS
from dsl.graph.svg import svg
from dsl.graph.table import Row, rows

__all__ = ["page"]

_STYLE = f"""
:root {{ color-scheme: light dark; }}
body {{ margin: 0 auto; max-width: 1400px; padding: 24px; font: 15px/1.5 {SANS};
  background: light-dark(#f3f4f6, #0a0e13); color: light-dark(#1d2733, #e4eaf1); }}
h1 {{ margin: 32px 0 8px; font-size: 18px; }}
.tools {{ display: flex; gap: 8px; margin-bottom: 8px; }}
button {{ font: inherit; padding: 2px 12px; }}
.view {{ overflow: auto; max-height: 85vh; border: 1px solid light-dark(#d5dae1, #2c3540);
  border-radius: 8px; background: light-dark(#fff, #10151c); }}
.view svg {{ display: block; margin: auto; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-size: 14px; }}
th, td {{ text-align: left; vertical-align: top; padding: 5px 12px 5px 0;
  border-bottom: 1px solid light-dark(#d5dae1, #2c3540); }}
code {{ font: 12px {MONOSPACED}; overflow-wrap: anywhere; }}
th {{ width: 36%; }}
th:nth-child(n + 3) {{ width: auto; }}
td:first-child {{ padding-left: calc(var(--depth) * 20px); }}
@media print {{ .tools {{ display: none; }} .view {{ overflow: visible; max-height: none; }} }}
"""
_SCRIPT = """
const view = document.querySelector(".view"), picture = view.querySelector("svg");
const [wide, high] = ["width", "height"].map((name) => Number(picture.getAttribute(name)));
let zoom = 1;
function show(to) {
  zoom = Math.min(4, Math.max(0.05, to));
  picture.setAttribute("width", wide * zoom);
  picture.setAttribute("height", high * zoom);
}
const zooms = {
  in: () => zoom * 1.25,
  out: () => zoom / 1.25,
  fit: () => Math.min(1, view.clientWidth / wide),
  all: () => 1,
};
for (const button of document.querySelectorAll("button"))
  button.onclick = () => show(zooms[button.name]());
show(zooms.fit());
"""
_BUTTONS = (("out", "Smaller"), ("in", "Larger"), ("fit", "Fit width"), ("all", "Real size"))


def page(picture: Picture, states: States | None = None) -> str:
    """A picture as the text of an HTML page, with a table of the steps.

    Args:
        picture: What it shows.
        states: Where a run stands, to colour it by.
    """
    return "\n".join(_lines(picture, states)) + "\n"


def _lines(picture: Picture, states: States | None) -> Iterator[str]:
    name = escape(picture.name)
    # Nothing is loaded, and no script runs but the one below.
    script = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'"
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield '<div class="tools">'
    for button, text in _BUTTONS:
        yield f'<button type="button" name="{button}">{text}</button>'
    yield f'</div>\n<div class="view" tabindex="0">\n{svg(picture, states)}</div>'
    yield from _table(picture, states)
    yield f"<script>{_SCRIPT}</script>\n</body>\n</html>"


def _table(picture: Picture, states: States | None) -> Iterator[str]:
    titles = ["Step", "What", "When and how", *(["Status"] if states else [])]
    yield f'<h1>The steps of {escape(picture.name)}</h1>\n<div class="scroll"><table>'
    yield f"<thead><tr>{''.join(f'<th>{title}</th>' for title in titles)}</tr></thead>\n<tbody>"
    for row in rows(picture.body):
        yield _row(row, states)
    yield "</tbody></table></div>"


def _row(row: Row, states: States | None) -> str:
    node = row.node
    glyph = GLYPHS[node.icon] if node.icon is not None else ""
    step = f" <code>{escape(node.key)}</code>" if node.key else ""
    words = node.title or "When"
    title = f"<b>{escape(f'{glyph} {words}'.strip())}</b>{step}"
    code = "<br>".join(f"<code>{escape(line)}</code>" for line in node.code)
    notes = "<br>".join(map(escape, row.notes))
    cells = [code, notes]
    if states is not None:
        state = states.steps.get(node.key)
        said = f"{state.status.replace('_', ' ')} {state.label}".strip() if state else ""
        cells.append(escape(said))
    rest = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr style="--depth:{row.depth}"><td>{title}</td>{rest}</tr>'
