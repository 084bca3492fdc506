"""Records histories: `python -m tests.histories.record`.

What is recorded stays: a later interpreter must replay it. So a new file gets a new name, and
one that exists is left alone.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from dsl.loader import load_text
from interpreter.definitions.host import registry_worker
from interpreter.definitions.registry import Registry
from tests.support.conformance import Case, Runner, read_cases
from tests.support.servers import real_server, virtual_server

HERE = Path(__file__).parent
CASES = {
    "saga-undone": "saga/core.yaml::an error undoes what was done, the last first",
    "saga-cancelled": "saga/core.yaml::cancellation undoes and ends cancelled",
    "saga-siblings": "saga/core.yaml::siblings settle before anything is undone",
    "signal-in-time": "wait_signal/core.yaml::a signal that comes in time",
    "signal-timeout": "wait_signal/core.yaml::a timeout that is caught",
    "order-fulfilled": "end_to_end/order.yaml::an order of everything that there is",
}
FAMILIES = {
    # Of these the histories of the children too, and of each run where it goes on as new.
    "children-undone": "workflow/compensation.yaml::the children of a child are undone with it",
    "children-cancelled": "workflow/cancellation.yaml::"
    "the run is cancelled, the child too, and all is undone in order",
    "slices-undone": "foreach/batch.yaml::"
    "compensation reaches into slices that completed, the last done first",
}
GOES_ON = "end_to_end/order.yaml::an order of everything that there is"
VERSION = "engine-1"


async def _record_registry() -> None:
    """What the registry does: publishing, promoting, retiring, and several at once."""
    one, two = (
        load_text(f"dsl: 1\nname: shop\nsteps: [{{value: {n}}}]").definitions[0] for n in (1, 2)
    )
    other = load_text("dsl: 1\nname: stock\nsteps: [{value: 1}]").definitions[0]
    async with real_server() as server, registry_worker(server.client):
        registry = Registry(server.client)
        await registry.publish(one, by="ann", commit="abc")
        await registry.publish(two, by="bob", alias=None)
        await registry.point("shop", "canary", 2, by="bob", weight=0.1)
        await registry.retire("shop", by="ann")
        await registry.publish_all([two, other], by="ann")
        query = "WorkflowType IN ('dsl.definition', 'dsl.deployment')"
        await asyncio.sleep(1)
        async for history in server.client.list_workflows(query).map_histories():
            kind = history.workflow_id.replace("dsl.", "").partition("/")
            name = kind[0] if kind[0] == "deployment" else f"{kind[0]}-{kind[2]}"
            file = HERE / f"registry-1-{name}.json"
            if not file.exists():
                file.write_text(history.to_json())


async def main() -> None:
    """Runs the cases and writes the histories that are not there yet."""
    await _record_registry()
    cases = {case.id: case for case in read_cases(HERE.parent / "conformance")}
    async with virtual_server() as server:
        runner = Runner(server)
        async with runner.worker:
            for name, id in CASES.items():
                file = HERE / f"{VERSION}-{name}.json"
                if not file.exists():
                    history = await runner.run(cases[id])
                    file.write_text(history.to_json())
            for name, id in FAMILIES.items():
                await _record_family(runner, cases[id], name)
        short = Runner(server, continue_after=3)
        async with short.worker:
            await _record_family(short, cases[GOES_ON], "goes-on")


async def _record_family(runner: Runner, case: Case, name: str) -> None:
    if (HERE / f"{VERSION}-{name}-1.json").exists():
        return
    await runner.run(case)
    for number, history in enumerate(runner.chain, start=1):
        (HERE / f"{VERSION}-{name}-{number}.json").write_text(history.to_json())


if __name__ == "__main__":
    asyncio.run(main())
