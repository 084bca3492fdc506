"""An encrypting codec, as one writes it for a data converter."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

__all__ = ["Encryption", "encrypting"]

_NONCE = 12


class Encryption(PayloadCodec):
    """Encrypts payloads with AES-GCM.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypts each payload with all that is in it."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypts payloads; one that is not encrypted stays as it is."""
        return list(self._decrypted(payloads))

    def _encrypted(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE)
        data = nonce + self._aes.encrypt(nonce, payload.SerializeToString(), None)
        return Payload(metadata={"encoding": b"binary/encrypted"}, data=data)

    def _decrypted(self, payloads: Sequence[Payload]) -> Iterable[Payload]:
        for payload in payloads:
            if payload.metadata.get("encoding") == b"binary/encrypted":
                data = payload.data
                yield Payload.FromString(self._aes.decrypt(data[:_NONCE], data[_NONCE:], None))
            else:
                yield payload


def encrypting(converter: DataConverter, key: bytes) -> DataConverter:
    """A data converter whose payloads are encrypted, and the messages of errors with them."""
    return replace(
        converter,
        payload_codec=Encryption(key),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
