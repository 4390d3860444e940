"""Large pieces that come in one turn of the event loop go to a socket in one call, without being copied."""

from __future__ import annotations

import asyncio
from typing import Final

_PIECE_MIN_BYTES: Final = 16 * 1024
"""Smaller ones are written at once: they save less than waiting for the others costs."""

_JOINED_MAX_BYTES: Final = 256 * 1024
"""Then they are written, so that the transport can say whether it is full."""


def takes_lines(transport: asyncio.BaseTransport | None) -> bool:
    """True when ``writelines`` of ``transport`` is sound and copies nothing.

    asyncio's forgets back-pressure and lost connections in Python 3.12 and 3.13 (CVE-2024-12254), and joins in 3.11.
    """
    return type(transport).__module__.startswith("uvloop")


class JoinedWrites:
    """What is written to one transport; in order, and whole, unless the transport is closed before the turn is over."""

    __slots__ = ("_loop", "_pieces", "_size", "_takes_lines", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._takes_lines = takes_lines(transport)
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []
        self._size = 0

    def __repr__(self) -> str:
        return f"<JoinedWrites {self._size} bytes waiting>"

    def write(self, data: bytes) -> None:
        """Send ``data``, now or at the end of this turn."""
        if not self._pieces:
            if len(data) < _PIECE_MIN_BYTES or not self._takes_lines:
                self._transport.write(data)
                return
            self._loop.call_soon(self.flush)
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= _JOINED_MAX_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what waits; drop it when the transport is closing."""
        if not self._pieces:
            return
        pieces, self._pieces, self._size = self._pieces, [], 0
        if not self._transport.is_closing():
            self._transport.writelines(pieces)
