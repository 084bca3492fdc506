"""`python -m benchmarks`: the price of an interpreted definition."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from benchmarks.expressions import expression_rounds
from benchmarks.fan_out import fan_out_rounds
from benchmarks.first import first_activity
from benchmarks.histories import check_same, size_of
from benchmarks.load import fetch, run_rounds
from benchmarks.memory import memory_rounds
from benchmarks.processes import process
from benchmarks.profiling import profile
from benchmarks.replays import replay_rounds
from benchmarks.report import Results, markdown, table
from benchmarks.scenarios import SCENARIOS, VARIANTS, Scenario
from benchmarks.stores import store_rounds
from benchmarks.validating import validate_rounds
from interpreter.server import start_server

_README = Path(__file__).with_name("README.md")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: Rounds of executions.
        share: Of each scenario's batch.
        replays: Rounds of replays.
        events: How many events are replayed in a round, of copies of some histories.
        long: The activities of the long history: 10,000 events are 1,666.
        memory: Rounds, and open executions, of the memory.
        first: Rounds, and samples in each, of the first activity.
        stores: Rounds, and executions in each, of where definitions come from.
        expressions: Rounds, and seconds for each expression in each.
        validating: Rounds.
        fan_out: Rounds; the items of a small run, of a large one, and of a batch.
    """

    rounds: int
    share: float
    replays: int
    events: int
    long: int
    memory: tuple[int, int]
    first: tuple[int, int]
    stores: tuple[int, int]
    expressions: tuple[int, float]
    validating: int
    fan_out: tuple[int, int, int, int]


_FULL = Plan(
    10,
    1.0,
    6,
    1000,
    1666,
    (2, 120),
    (7, 12),
    (8, 20),
    (7, 0.01),
    5,
    (3, 1000, 10_000, 500),
)
_QUICK = Plan(
    2,
    0.15,
    2,
    100,
    40,
    (1, 8),
    (2, 4),
    (2, 3),
    (2, 0.001),
    1,
    (1, 100, 300, 100),
)
_FAN_OUT = "fan_out"


def _say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


async def _measure(client: Client, address: str, plan: Plan, only: list[str]) -> Results:
    results = Results()
    if not only or _FAN_OUT in only:
        _say("many items in batches")
        async with process("activities", address):
            results.fan_out = await fan_out_rounds(client, address, *plan.fan_out)
        if only == [_FAN_OUT]:
            return results
    chosen = [one for one in SCENARIOS if not only or one.name in only]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(process("activities", address))
        if not only:
            _say("memory of open executions")
            results.memory = await memory_rounds(client, address, *plan.memory)
        workers = {
            variant: await stack.enter_async_context(process(variant, address))
            for variant in VARIANTS
        }
        for scenario in chosen:
            _say(scenario.title)
            results.loads[scenario.name] = await run_rounds(
                client, workers, scenario, plan.rounds, plan.share
            )
            histories = {variant: await fetch(client, variant, scenario, 4) for variant in VARIANTS}
            check_same(scenario, histories)
            results.sizes[scenario.name] = {
                variant: size_of(histories[variant]) for variant in VARIANTS
            }
            results.replays[scenario.name] = await replay_rounds(
                histories, plan.replays, plan.events
            )
        if only:
            return results
        _say("a long history")
        given = {"value": 0, "until": plan.long}
        long = Scenario("loop", "a long loop", given, plan.long, plan.long, 1)
        found = await asyncio.gather(*(fetch(client, variant, long, 1) for variant in VARIANTS))
        histories = dict(zip(VARIANTS, found, strict=True))
        check_same(long, histories)
        results.long_events = len(histories["plain"][0].events)
        results.long_replay = await replay_rounds(histories, min(plan.replays, 4))
        _say("the first activity of long definitions")
        results.first = await first_activity(client, *plan.first)
    _say("where definitions come from")
    async with process("activities", address):
        results.stores = await store_rounds(client, address, *plan.stores)
    _say("expressions")
    results.expressions = expression_rounds(*plan.expressions)
    _say("validating")
    results.validating = validate_rounds(plan.validating)
    return results


async def _main(options: argparse.Namespace) -> None:
    begin = time.monotonic()
    server = await start_server()
    try:
        address = server.client.service_client.config.target_host
        if options.profile:
            async with AsyncExitStack() as stack:
                for role in ("activities", options.variant):
                    await stack.enter_async_context(process(role, address))
                await profile(server.client, options.profile, options.variant, options.executions)
            return
        plan = _QUICK if options.quick else _FULL
        results = await _measure(server.client, address, plan, options.only)
    finally:
        await server.shutdown()
    results.seconds = time.monotonic() - begin
    results.load_after = os.getloadavg()[0]
    print(table(results))
    if not options.quick and not options.only:
        _README.write_text(markdown(results), encoding="utf-8")
        _say(f"written to {_README}")


def _options() -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run; nothing is written")
    parser.add_argument("--only", action="append", default=[], choices=[*names, _FAN_OUT])
    parser.add_argument("--profile", choices=names, help="profile a scenario instead")
    parser.add_argument("--variant", choices=VARIANTS, default="dsl", help="what is profiled")
    parser.add_argument("--executions", type=int, default=200, help="how many are profiled")
    return parser.parse_args()


if __name__ == "__main__":
    code = 1
    try:
        asyncio.run(_main(_options()))
        code = 0
    except SystemExit as ended:
        raise ended
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a process that used the SDK may crash at its exit
