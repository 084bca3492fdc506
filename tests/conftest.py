"""Servers that tests share: one a process each, in virtual and in real time."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.support.conformance import Runner
from tests.support.servers import real_server, replay_all, virtual_server

# What tests import stays: to look for garbage in it again and again takes a part of their time.
gc.set_threshold(50_000, 20, 100)
# The programs of the environment that runs the tests, before any others.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def runner() -> AsyncIterator[Runner]:
    """Runs conformance cases, in virtual time."""
    async with virtual_server() as server:
        runner = Runner(server)
        async with runner.worker:
            yield runner


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def short_runner() -> AsyncIterator[Runner]:
    """Runs conformance cases that go on as new whenever they can."""
    async with virtual_server() as server:
        runner = Runner(server, continue_after=1)
        async with runner.worker:
            yield runner


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """A server in real time. At the end everything that ran on it is replayed."""
    async with real_server() as server:
        yield server
        await replay_all(server.client)
