"""Texts that are kept in Temporal, small."""

from __future__ import annotations

import base64
import zlib

__all__ = ["MOST_UNPACKED", "pack", "unpack"]

MOST_UNPACKED = 4 * 1024 * 1024
"""The largest text that is unpacked, in bytes."""


def pack(text: str) -> str:
    """Compresses a text; the same text always gives the same."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpack(packed: str, most: int = MOST_UNPACKED) -> str:
    """The text that was packed.

    Args:
        packed: What `pack` gave.
        most: How many bytes the text may have.

    Raises:
        ValueError: if it was not, or is larger than anything that is kept.
    """
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(base64.b64decode(packed, validate=True), most)
    except zlib.error as error:
        raise ValueError(f"it cannot be unpacked: {error}") from None
    if not inflater.eof:
        raise ValueError("it is cut short, or too large")
    return data.decode()
