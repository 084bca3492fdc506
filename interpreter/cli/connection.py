"""Reaching a Temporal server."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from enum import Enum, auto
from typing import Any

from temporalio.client import Client, TLSConfig
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from interpreter.cli import logs
from interpreter.cli.errors import CliError, Exit
from interpreter.cli.options import Settings
from interpreter.cli.work import told

__all__ = ["configured", "connect", "converter", "rpc_error", "storage_url"]

_PATIENCE = 10.0
_REFUSED = 1.0
_HINT = (
    "name one with --address, start one with `temporal server start-dev`, "
    "or use `temporal-dsl run`, which brings its own"
)
_OTHER = "name one with --address; if it wants TLS, say --tls"
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_STORAGE = "TEMPORAL_DSL_PAYLOAD_STORAGE"
_open = AsyncExitStack()  # the storage of this process, which ends with it
_SETTINGS = 4  # the type of the frame that an HTTP/2 server begins with, at its fourth byte


def _config(settings: Settings) -> dict[str, Any]:
    try:
        config: dict[str, Any] = dict(
            ClientConfig.load_client_connect_config(profile=settings.profile)
        )
    except Exception as error:
        raise CliError(f"Temporal's configuration cannot be read: {error}") from None
    if settings.address is not None:
        config["target_host"] = settings.address
    if settings.namespace is not None:
        config["namespace"] = settings.namespace
    if settings.api_key is not None:
        config["api_key"] = settings.api_key
    paths = (settings.tls_ca_path, settings.tls_cert_path, settings.tls_key_path)
    if settings.tls is not None or settings.tls_server_name or any(paths):
        try:
            ca, cert, key = (path.read_bytes() if path else None for path in paths)
        except OSError as error:
            raise CliError(f"{error.filename}: {error.strerror}") from None
        config["tls"] = settings.tls is not False and TLSConfig(
            server_root_ca_cert=ca,
            client_cert=cert,
            client_private_key=key,
            domain=settings.tls_server_name,
        )
    return config


def storage_url(settings: Settings) -> str | None:
    """Where large payloads are kept, if that was named."""
    return settings.payload_storage or os.environ.get(_STORAGE)


async def converter(settings: Settings) -> DataConverter:
    """How payloads are written: with external storage where it was named.

    Raises:
        CliError: if that cannot be used.
    """
    from interpreter.storage import WithoutStorage, payload_storage

    url = storage_url(settings)
    if not url:
        return WithoutStorage()
    try:
        storage = await _open.enter_async_context(payload_storage(url))
    except Exception as error:
        named = "--payload-storage" if settings.payload_storage else _STORAGE
        raise CliError(f"{named}: {error}") from None
    return DataConverter(external_storage=storage)


def configured(settings: Settings) -> bool:
    """Whether a server was named, by an option, the environment or a profile."""
    return bool(_config(settings).get("target_host"))


async def connect(settings: Settings, hint: str = _HINT) -> Client:
    """Connects to the server that was named, else to localhost:7233.

    Args:
        settings: What names it.
        hint: What to do where there is none.

    Raises:
        CliError: if it cannot be reached.
    """
    logs.by_default(settings.debug)
    config = _config(settings)
    config["data_converter"] = await converter(settings)
    address = config.pop("target_host", None) or "localhost:7233"
    unreachable = CliError(f"no Temporal server answers at {address}", Exit.UNREACHABLE, hint)
    host, port = _host_and_port(address)
    if "http_connect_proxy_config" not in config:
        plain = not config.get("tls") and not config.get("api_key")
        match await _answer(host, port, plain):
            case _Answer.NONE:
                raise unreachable
            case _Answer.OTHER:
                message = f"what answers at {address} is no Temporal server"
                raise CliError(message, Exit.UNREACHABLE, _OTHER)
            case _Answer.MAYBE:
                pass
    try:
        connecting = asyncio.wait_for(Client.connect(address, **config), _PATIENCE)
        return await told(connecting, f"connecting to {address}")
    except (RuntimeError, TimeoutError, OSError) as error:
        unreachable.message += f": {error}" if str(error) else ""
        raise unreachable from None


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise CliError(f"{address} is no address: it must be host:port")
    return host.strip("[]"), int(port)


class _Answer(Enum):
    NONE = auto()
    """Nobody takes a connection."""
    OTHER = auto()
    """Somebody who does not speak HTTP/2."""
    MAYBE = auto()


async def _answer(host: str, port: int, plain: bool) -> _Answer:
    """Who takes a connection: the SDK would try for ten seconds."""
    # A name that takes long to resolve is not waited for by those who wait for this.
    opening = asyncio.ensure_future(asyncio.open_connection(host, port))
    await asyncio.wait((opening,), timeout=_REFUSED)
    if not opening.done() or isinstance(opening.exception(), OSError | UnicodeError):
        return _Answer.NONE
    reader, writer = opening.result()
    try:
        return await _greeted(reader, writer) if plain else _Answer.MAYBE
    finally:
        writer.close()


async def _greeted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Answer:
    """Whether HTTP/2 is answered with HTTP/2; who says nothing may be a slow server."""
    writer.write(_GREETING)
    try:
        frame = await asyncio.wait_for(reader.readexactly(4), _REFUSED / 2)
    except asyncio.IncompleteReadError as error:
        return _Answer.OTHER if error.partial else _Answer.MAYBE
    except (TimeoutError, OSError):
        return _Answer.MAYBE
    return _Answer.MAYBE if frame[3] == _SETTINGS else _Answer.OTHER


def rpc_error(error: RPCError, what: str) -> CliError:
    """What an answer of the server means to the user."""
    if error.status == RPCStatusCode.NOT_FOUND:
        return CliError(f"{what}: {error.message}", Exit.WRONG_INPUT)
    if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED):
        return CliError(f"{what}: the server does not answer: {error.message}", Exit.UNREACHABLE)
    return CliError(f"{what}: {error.message}", Exit.WRONG_INPUT)
