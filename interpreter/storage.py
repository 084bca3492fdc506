"""External storage: large payloads are kept outside Temporal, and histories hold references.

What is stored is never deleted by Temporal or by us: a history that can still be read needs it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from interpreter.payloads import LARGEST_STORED, NAME_STORAGE

if TYPE_CHECKING:
    from temporalio.contrib.aws.s3driver import S3StorageDriverClient

__all__ = ["FileStorage", "NeedsStorageError", "WithoutStorage", "payload_storage"]

_ROOM = 64 * 1024
"""What a payload has beside its value."""
_is_digest = re.compile(r"[0-9a-f]{64}").fullmatch


class FileStorage(StorageDriver):
    """Keeps payloads as files, named by their SHA-256: for development, or a shared folder.

    Args:
        folder: Where; it is made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def name(self) -> str:
        """What references call it."""
        return "temporal-dsl.file"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Writes each payload to a file of its own, unless it is there."""
        return [await asyncio.to_thread(self._store, payload) for payload in payloads]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Reads payloads.

        Raises:
            RuntimeError: if one is not there, or is not what was stored.
        """
        return [await asyncio.to_thread(self._retrieve, claim) for claim in claims]

    def _store(self, payload: Payload) -> StorageDriverClaim:
        data = payload.SerializeToString(deterministic=True)
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    os.replace(file.name, path)  # by the same bytes, if somebody was quicker
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        return StorageDriverClaim({"sha256": digest})

    def _retrieve(self, claim: StorageDriverClaim) -> Payload:
        digest = claim.claim_data.get("sha256", "")
        if not _is_digest(digest):
            raise RuntimeError(f"a reference to a stored payload is wrong: {digest!r:.100}")
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise RuntimeError(f"the payload {path} cannot be read: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise RuntimeError(f"the payload {path} is not what was stored")
        return Payload.FromString(data)

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest


class NeedsStorageError(RuntimeError):
    """A payload is in external storage, and none is configured."""


@dataclass(frozen=True)
class WithoutStorage(DataConverter):
    """The SDK's own converter; it says what to configure where it meets a reference."""

    async def _external_retrieve_payload_sequence(
        self, payloads: Sequence[Payload]
    ) -> list[Payload]:
        try:
            return await super()._external_retrieve_payload_sequence(payloads)
        except RuntimeError as error:
            raise NeedsStorageError(f"{error} {NAME_STORAGE}") from None


@asynccontextmanager
async def payload_storage(url: str) -> AsyncGenerator[ExternalStorage]:
    """External storage for a client's data converter::

        async with payload_storage("s3://bucket/prefix") as storage:
            converter = DataConverter(external_storage=storage)
            client = await Client.connect(address, data_converter=converter)

    Args:
        url: `file:///folder` or `s3://bucket/prefix`. All that take part need the same one.

    Raises:
        ValueError: if it is neither, or what it needs is not installed.
    """
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ValueError(f"{url}: it must be a plain URL, without ? and #")
    match parts.scheme:
        case "file":
            if parts.netloc not in ("", "localhost") or not parts.path.strip("/"):
                raise ValueError(f"{url}: a folder is named as file:///path")
            yield ExternalStorage([FileStorage(Path(unquote(parts.path)))])
        case "s3":
            if not parts.netloc:
                raise ValueError(f"{url}: a bucket is named as s3://bucket/prefix")
            async with _s3(parts.netloc, parts.path.strip("/")) as driver:
                yield ExternalStorage([driver])
        case _:
            raise ValueError(f"{url}: it must be file:///folder or s3://bucket/prefix")


@asynccontextmanager
async def _s3(bucket: str, prefix: str) -> AsyncGenerator[StorageDriver]:
    """The SDK's driver; where and as whom it works, AWS's usual configuration says."""
    try:
        import aioboto3
        from temporalio.contrib.aws.s3driver import S3StorageDriver
        from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client
    except ImportError as error:
        message = f"s3:// needs `pip install temporal-dsl[s3]`: {error}"
        raise ValueError(message) from None
    session: Any = aioboto3.Session()
    async with session.client("s3") as client:
        inner = new_aioboto3_client(client)
        outer = _prefixed(inner, prefix) if prefix else inner
        yield S3StorageDriver(outer, bucket, max_payload_size=LARGEST_STORED + _ROOM)


def _prefixed(inner: S3StorageDriverClient, prefix: str) -> S3StorageDriverClient:
    """A client that puts a prefix before all keys: references have it not."""
    from temporalio.contrib.aws.s3driver import S3StorageDriverClient

    class Prefixed(S3StorageDriverClient):
        def describe(self) -> Mapping[str, str]:
            return {**inner.describe(), "prefix": prefix}

        async def object_exists(self, *, bucket: str, key: str) -> bool:
            return await inner.object_exists(bucket=bucket, key=f"{prefix}/{key}")

        async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
            await inner.put_object(bucket=bucket, key=f"{prefix}/{key}", data=data)

        async def get_object(self, *, bucket: str, key: str) -> bytes:
            return await inner.get_object(bucket=bucket, key=f"{prefix}/{key}")

    return Prefixed()
