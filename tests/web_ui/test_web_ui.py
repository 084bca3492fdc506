"""What Temporal's web UI shows of a run, in a real browser.

`SCREENSHOTS=1 pytest tests/web_ui` takes the pictures of the README anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from dsl.loader import load_files
from interpreter.cli import inputs
from interpreter.definitions.store import MemoryStore
from interpreter.server import DEVELOPMENT, find_temporal, flags
from interpreter.worker import make_worker

HERE = Path(__file__).parent
IMAGES = HERE.parent.parent / "docs" / "images"
EXAMPLE = HERE.parent.parent / "examples" / "order-fulfilment" / "workflow.yaml"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NODE = shutil.which("node")
if NODE is None or CHROMIUM is None:
    pytest.skip("there is no Node, or no Chromium", allow_module_level=True)
if not (HERE / "node_modules").is_dir():
    pytest.skip("there is no playwright-core: see .ci/run", allow_module_level=True)

ORDER = {
    "order_id": "order-17",
    "amount": 5000,
    "items": [{"sku": "mug"}, {"sku": "lamp", "quantity": 2}],
}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


async def test_a_run_is_legible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of its steps on the time line, and its progress as a table."""
    monkeypatch.setenv("ORDER_DB", str(tmp_path / "ledger.sqlite"))
    monkeypatch.chdir(tmp_path)
    port = _free_port()
    server = await WorkflowEnvironment.start_local(  # pyright: ignore[reportUnknownMemberType]
        dev_server_existing_path=find_temporal(),
        dev_server_extra_args=flags(DEVELOPMENT),
        dev_server_log_level="error",
        ui=True,
        ui_port=port,
    )
    folder = IMAGES if os.environ.get("SCREENSHOTS") else tmp_path
    pictures = [folder / "web-ui-timeline.png", folder / "web-ui-progress.png"]
    try:
        registry = inputs.registry(inputs.activities_beside([EXAMPLE]))
        definitions = load_files([EXAMPLE]).definitions
        async with make_worker(server.client, MemoryStore(definitions), registry):
            handle = await server.client.start_workflow(
                "order-fulfilment", ORDER, id="order-17", task_queue="dsl"
            )
            async with asyncio.timeout(20):
                while "'waiting'" not in str(await handle.query("status")):
                    await asyncio.sleep(0.05)
            url = f"http://127.0.0.1:{port}/namespaces/default/workflows/order-17"
            looking = await asyncio.create_subprocess_exec(
                str(NODE),
                *map(str, (HERE / "look.js", CHROMIUM, url, *pictures)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await asyncio.wait_for(looking.communicate(), 60)
            assert looking.returncode == 0, err.decode()
            await handle.terminate()
    finally:
        await server.shutdown()
    seen = json.loads(out)
    for words in (
        "inventory.reserve",
        "Take the items from the stock",
        "timeout of approval",
        "timeout of definition",
    ):
        assert words in seen["timeline"]
    lines = [" ".join(line.split()) for line in seen["progress"].splitlines()]
    assert any(line.startswith("running · revision") and "1 of 5 steps" in line for line in lines)
    assert any("Take the items from the stock reserve completed" in line for line in lines)
    assert any("approval waiting" in line for line in lines)
    assert any("Charge the card charge pending" in line for line in lines)
    assert all(picture.stat().st_size > 10_000 for picture in pictures)
