"""An S3-compatible server, as a process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

__all__ = ["s3_server"]


@asynccontextmanager
async def s3_server(bucket: str) -> AsyncGenerator[str]:
    """Starts a server with a bucket; AWS's usual variables lead to it. Gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
                stderr=file,
                stdout=file,
            )
        try:
            for _ in range(600):
                assert process.poll() is None, log.read_text()
                if "Running on http://127.0.0.1:" in log.read_text():
                    break
                await asyncio.sleep(0.05)
            port = log.read_text().split("http://127.0.0.1:")[1].split()[0]
            endpoint = f"http://127.0.0.1:{port}"
            make = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")
            await asyncio.to_thread(lambda: urllib.request.urlopen(make).close())
            variables = {
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": endpoint,
            }
            with mock.patch.dict(os.environ, variables):
                yield endpoint
        finally:
            process.terminate()
            process.wait()
