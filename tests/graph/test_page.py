"""The page: one file, one picture, one script, and a table of the steps."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from hypothesis import HealthCheck, given, settings

from dsl.graph import Format, State, States, draw
from dsl.model.definition import Definition
from tests.graph.support import EVERYTHING, EXAMPLES, definitions, read

TAGS = {
    *("html", "head", "meta", "title", "style", "body", "div", "button", "h1", "table"),
    *("thead", "tbody", "tr", "th", "td", "b", "code", "br", "script"),
    *("svg", "desc", "g", "rect", "circle", "path", "text"),
}


class Page(HTMLParser):
    """What a browser finds in a page.

    Args:
        text: The page.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.script = ""
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "br"):
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag in ("br", "code") and self.rows and self.rows[-1]:
            self.rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["script"]:
            self.script += data
        elif "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data


def check_page(text: str) -> Page:
    """Checks that a page has nothing in it but what a page has.

    Raises:
        AssertionError: if it has.
    """
    page = Page(text)
    assert set(page.tags) <= TAGS
    assert page.tags.count("script") == page.tags.count("svg") == 1
    assert not any(name.startswith("on") or name in ("src", "href") for name, _ in page.attributes)
    policy = next(value for name, value in page.attributes if name == "content")
    digest = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    assert policy.endswith(f"script-src 'sha256-{digest}'")
    return page


def cells(page: Page) -> list[list[str]]:
    return [[" ".join(cell.split()) for cell in row] for row in page.rows]


def test_the_steps_of_an_order() -> None:
    order = next(path for path in EXAMPLES if path.parent.name == "order-fulfilment")
    page = check_page(draw(read(order), Format.HTML))
    assert cells(page) == [
        ["Step", "What", "When and how"],
        [
            "Take the items from the stock reserve",
            "inventory.reserve",
            "each try within 30 s up to 5 tries",
        ],
        [
            "↶ Undo reserve!undo",
            "inventory.release",
            "each try within 20 s tried again until it succeeds",
        ],
        ["◇ If", "input.amount > 1000", ""],
        ["✉ Wait for approval approval", "signal approval", "within 1 day"],
        ["⚡ On Timeout", "goes on with approved: false", ""],
        ["Escalate escalate", "mail.send", "each try within 30 s up to 5 tries"],
        [
            "⚡ Fail: NotApproved do[1].raise[1]",
            "Order {input.order_id} was not approved",
            "only if not steps.approval.output.approved",
        ],
        [
            "Charge the card charge",
            "payments.charge",
            "within 10 min each try within 20 s up to 3 tries not tried again after CardDeclined",
        ],
        [
            "↶ Undo charge!undo",
            'payments.refund only if step.error == null or step.error.type != "CardDeclined"',
            "each try within 20 s tried again until it succeeds",
        ],
        ["≡ Ship all: for each item ship_all", "in input.items", "10 at a time"],
        [
            "Hand an item to the carrier ship_all[].ship",
            "shipping.ship",
            "each try within 30 s up to 5 tries",
        ],
        [
            "↶ Undo ship_all[].ship!undo",
            "shipping.cancel",
            "each try within 20 s tried again until it succeeds",
        ],
    ]


def test_a_run_has_a_column_of_its_own() -> None:
    states = States(
        "<b>", "running", {"greet": State("timed_out"), "trip": State("running", "2/3")}
    )
    text = draw(read(EVERYTHING), Format.HTML, states)
    found = {row[0]: row[3] for row in cells(check_page(text))}
    assert found["Step"] == "Status"
    assert found["∥ Trip trip"] == "running 2/3"
    assert found["Pay hotel pay_hotel"] == "pending"
    assert next(value for key, value in found.items() if key.endswith(" greet")) == "timed out"
    assert "Run &lt;b&gt;: running" in text


def test_every_construct_has_its_row() -> None:
    found = cells(check_page(draw(read(EVERYTHING), Format.HTML)))
    steps = "\n".join(row[0] for row in found)
    for title in ("When", "Otherwise", "In any case, however it ended", "⚑ Point of no return"):
        assert title in steps
    notes = "\n".join(row[2] for row in found)
    for note in (
        "at most 20 times as long as vars.looks < 10",
        "until vars.looks > 7",
        "2 at a time",
    ):
        assert all(word in notes for word in re.split(r" (?=as long)", note)), note


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(definitions())
def test_random_definitions(definition: Definition) -> None:
    check_page(draw(definition, Format.HTML))
