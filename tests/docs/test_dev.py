"""docs/dev.md from top to bottom: `dev` in one terminal, commands in another one."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

from tests.cli.support import environment
from tests.docs.test_docs import blocks, run_console, run_script
from tests.docs.test_tutorial import PORTS, Terminal, free_ports

PAGE = [block for block in blocks("sh", "text", "console") if block.page.name == "dev.md"]
EVENTS = re.compile(r'_tell\(\s*"(\w+)"')


def pattern(text: str) -> str:
    """What a block of text matches: `...` stands for anything, and times are others."""
    lines = [re.escape(line.rstrip()) for line in text.splitlines() if line.strip()]
    whole = r"[ ]*\n(?:.*\n)*?".join(lines).replace(r"\.\.\.", ".*")
    return re.sub(r"\d\d:\d\d:\d\d", r"\\d\\d:\\d\\d:\\d\\d", whole)


async def shows(terminal: Terminal, text: str, at: int) -> int:
    """Waits until a terminal shows a block below a line; gives its lines."""
    wanted = re.compile(pattern(text))
    for _ in range(400):
        assert terminal.process.poll() is None, terminal.lines()
        lines = terminal.lines()
        if wanted.search("\n".join(lines[at:])):
            return len(lines)
        await asyncio.sleep(0.05)
    raise AssertionError("\n".join([text, "is not shown:", *terminal.lines()]))


async def test_developing_as_the_page_says(tmp_path: Path) -> None:
    ports = free_ports()
    address = f"localhost:{ports[0]}"
    first, *rest = PAGE
    init, dev = first.text.strip().splitlines()
    assert "wrote hello/workflow.yaml" in await asyncio.to_thread(run_script, init, tmp_path)
    script = f"exec {dev} --port {ports[0]} --ui-port {ports[1]}"
    terminal = Terminal(script, tmp_path, {"TEMPORAL_ADDRESS": address})
    at = 0
    try:
        for block in rest:
            if block.language == "text":
                text = block.text
                for port, ours in zip(PORTS, ports, strict=True):
                    text = text.replace(f"localhost:{port}", f"localhost:{ours}")
                at = await shows(terminal, text, at)
            else:
                where = {"TEMPORAL_ADDRESS": address}
                await asyncio.to_thread(run_console, block, tmp_path, **where)
        terminal.process.send_signal(2)
        assert await asyncio.to_thread(terminal.end) == 130, terminal.lines()
    finally:
        terminal.process.kill()
    assert "Traceback" not in "\n".join(terminal.lines())
    done = subprocess.run(
        ["pgrep", "-f", str(tmp_path)], env=environment(), capture_output=True, check=False
    )
    assert done.stdout == b"", "something goes on"


def test_the_page_names_every_event() -> None:
    from interpreter.cli.dev import terminal

    source = Path(terminal.__file__).read_text()
    told = set(EVENTS.findall(source)) | {"log"}
    table = PAGE[0].page.read_text().partition("| event |")[2]
    named = {name for cell in re.findall(r"^\| (`[^|]+) \|", table, re.M) for name in
             re.findall(r"`(\w+)`", cell)}  # fmt: skip
    assert told == named
