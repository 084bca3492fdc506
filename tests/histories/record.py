"""Records histories: `python -m tests.histories.record`.

What is recorded stays: a later interpreter must replay it. So a new file gets a new name, and
one that exists is left alone.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.conformance import Runner, read_cases
from tests.support.servers import virtual_server

HERE = Path(__file__).parent
CASES = {
    "saga-undone": "saga/core.yaml::an error undoes what was done, the last first",
    "saga-cancelled": "saga/core.yaml::cancellation undoes and ends cancelled",
    "saga-siblings": "saga/core.yaml::siblings settle before anything is undone",
    "signal-in-time": "wait_signal/core.yaml::a signal that comes in time",
    "signal-timeout": "wait_signal/core.yaml::a timeout that is caught",
    "order-fulfilled": "end_to_end/order.yaml::an order of everything that there is",
}
VERSION = "engine-1"


async def main() -> None:
    """Runs the cases and writes the histories that are not there yet."""
    cases = {case.id: case for case in read_cases(HERE.parent / "conformance")}
    async with virtual_server() as server:
        runner = Runner(server)
        async with runner.worker:
            for name, id in CASES.items():
                file = HERE / f"{VERSION}-{name}.json"
                if not file.exists():
                    history = await runner.run(cases[id])
                    file.write_text(history.to_json())


if __name__ == "__main__":
    asyncio.run(main())
