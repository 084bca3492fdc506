"""Where the time goes: the thread that runs workflow code, while histories are replayed."""

from __future__ import annotations

import cProfile
import pstats
from concurrent.futures import ThreadPoolExecutor

from temporalio.client import Client

from benchmarks.load import fetch
from benchmarks.replays import replay
from benchmarks.scenarios import SCENARIOS

__all__ = ["profile"]

_HISTORIES = 4
_SHOWN = 40


async def profile(client: Client, name: str, variant: str, executions: int) -> None:
    """Prints the profile of a scenario's activations, by cumulative and by own time."""
    scenario = next(one for one in SCENARIOS if one.name == name)
    histories = await fetch(client, variant, scenario, _HISTORIES)
    copies = histories * (executions // _HISTORIES)
    await replay(variant, histories)  # what is imported and compiled once does not count
    profiler = cProfile.Profile()
    executor = ThreadPoolExecutor(1, initializer=profiler.enable)
    await replay(variant, copies, executor)
    executor.submit(profiler.disable).result()
    print(f"{variant}, {name}: {len(copies)} replays of {len(histories[0].events)} events")
    stats = pstats.Stats(profiler)
    for order in ("cumulative", "tottime"):
        stats.sort_stats(order).print_stats(_SHOWN)
