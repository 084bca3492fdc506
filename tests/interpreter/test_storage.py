"""External storage: the drivers, and how they are named."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from interpreter.errors import Fault
from interpreter.payloads import INLINE, LARGEST_LOCAL, LARGEST_STORED, Budget, budget_of, payload
from interpreter.storage import FileStorage, WithoutStorage, payload_storage
from tests.support.s3 import s3_server

STORE = StorageDriverStoreContext()
RETRIEVE = StorageDriverRetrieveContext()


def _payload(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain", "a": b"1", "b": b"2"}, data=text.encode())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def test_files_are_named_by_their_content(tmp_path: Path) -> None:
    driver = FileStorage(tmp_path / "deep" / "store")
    given = [_payload("one"), _payload("two"), _payload("one")]
    claims = await driver.store(STORE, given)
    assert claims[0] == claims[2] != claims[1]
    assert await driver.retrieve(RETRIEVE, claims) == given
    assert [file.name for file in _files(tmp_path)] == sorted(
        {claim.claim_data["sha256"] for claim in claims}
    )
    # Another process, with another driver, reads the same.
    assert await FileStorage(tmp_path / "deep" / "store").retrieve(RETRIEVE, claims) == given


async def test_a_file_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    driver = FileStorage(tmp_path)
    await driver.store(STORE, [_payload("one")])
    (file,) = _files(tmp_path)
    before = file.stat()
    await driver.store(STORE, [_payload("one")])
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


async def test_many_at_once_leave_nothing_half_written(tmp_path: Path) -> None:
    drivers = [FileStorage(tmp_path) for _ in range(4)]
    texts = [f"{n % 5}" * 100_000 for n in range(40)]
    claims = await asyncio.gather(
        *(drivers[n % 4].store(STORE, [_payload(text)]) for n, text in enumerate(texts))
    )
    assert len(_files(tmp_path)) == 5
    for text, claim in zip(texts, claims, strict=True):
        assert await drivers[0].retrieve(RETRIEVE, claim) == [_payload(text)]


async def test_what_is_not_what_was_stored_is_refused(tmp_path: Path) -> None:
    driver = FileStorage(tmp_path)
    claims = await driver.store(STORE, [_payload("one")])
    (file,) = _files(tmp_path)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(RuntimeError, match="is not what was stored"):
        await driver.retrieve(RETRIEVE, claims)
    file.unlink()
    with pytest.raises(RuntimeError, match="cannot be read: No such file"):
        await driver.retrieve(RETRIEVE, claims)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n"])
async def test_a_reference_leads_nowhere_else(tmp_path: Path, digest: str) -> None:
    with pytest.raises(RuntimeError, match="is wrong"):
        await FileStorage(tmp_path).retrieve(RETRIEVE, [StorageDriverClaim({"sha256": digest})])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("/folder", "it must be file:///folder or s3://bucket/prefix"),
        ("ftp://host/x", "it must be file:///folder or s3://bucket/prefix"),
        ("file://folder/x", "a folder is named as file:///path"),
        ("file:///", "a folder is named as file:///path"),
        ("s3:///prefix", "a bucket is named as s3://bucket/prefix"),
        ("s3://bucket?region=x", "without [?] and #"),
    ],
)
async def test_wrong_urls(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        async with payload_storage(url):
            pass


async def test_a_file_url_may_be_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "two words"
    async with payload_storage(folder.as_uri()) as storage:
        (driver,) = storage.drivers
        await driver.store(STORE, [_payload("one")])
    assert len(_files(folder)) == 1


async def test_without_storage_a_reference_says_what_to_configure(tmp_path: Path) -> None:
    async with payload_storage(tmp_path.as_uri()) as storage:
        encoded = await DataConverter(external_storage=storage).encode(["x" * 300_000])
    assert encoded[0].ByteSize() < 1000
    with pytest.raises(RuntimeError, match="--payload-storage or TEMPORAL_DSL_PAYLOAD_STORAGE"):
        await WithoutStorage().decode(encoded)
    assert await WithoutStorage().decode(await WithoutStorage().encode([1])) == [1]


def test_budgets(tmp_path: Path) -> None:
    assert budget_of(None) == INLINE
    storage = ExternalStorage([FileStorage(tmp_path)], payload_size_threshold=1000)
    budget = budget_of(storage)
    assert budget == Budget(LARGEST_STORED, 1000)
    small, large = payload("x" * 100, "it"), payload("x" * 5000, "it")
    assert INLINE.sent([small, large]) == 102 + 5002
    assert 102 < budget.sent([small]) < 200
    assert 102 + 1024 < budget.sent([small, large]) < 1300
    assert budget.local == LARGEST_STORED and INLINE.local == LARGEST_LOCAL
    assert Budget(LARGEST_STORED, 1024 * 1024).local == LARGEST_LOCAL
    with pytest.raises(Fault, match="it: 102 bytes, 101 are allowed"):
        payload("x" * 100, "it", 101)


def test_a_storage_that_may_leave_payloads_inline_promises_nothing(tmp_path: Path) -> None:
    def none(*_: object) -> StorageDriver | None:
        return None

    assert budget_of(ExternalStorage([FileStorage(tmp_path)], driver_selector=none)) == INLINE


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def s3() -> AsyncIterator[str]:
    async with s3_server("payloads") as endpoint:
        yield endpoint


async def _keys(endpoint: str) -> str:
    def read() -> str:
        with urllib.request.urlopen(f"{endpoint}/payloads?list-type=2") as answer:
            return answer.read().decode()

    return await asyncio.to_thread(read)


# aiobotocore sends the parts of a large object so; it is no error outside of tests.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.parametrize("prefix", ["", "/team/runs/"])
async def test_s3(s3: str, prefix: str) -> None:
    value: Any = {"text": f"{prefix}x" * 2_000_000}
    async with payload_storage(f"s3://payloads{prefix}") as storage:
        converter = DataConverter(external_storage=storage)
        encoded = await converter.encode([value])
        assert encoded[0].ByteSize() < 1000
        assert await converter.decode(encoded) == [value]
        assert f"<Key>{prefix.lstrip('/')}v0/" in await _keys(s3)
        large = Payload(metadata={"encoding": b"json/plain"}, data=b"x" * LARGEST_STORED)
        (claim,) = await storage.drivers[0].store(STORE, [large])
        assert await storage.drivers[0].retrieve(RETRIEVE, [claim]) == [large]


async def test_s3_that_cannot_be_used_is_an_error(s3: str) -> None:
    async with payload_storage("s3://nobody") as storage:
        with pytest.raises(RuntimeError, match="store failed"):
            await DataConverter(external_storage=storage).encode(["x" * 300_000])
