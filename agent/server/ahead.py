"""What a client has sent before its turn: pipelined requests, and the body of a request that still waits."""

from __future__ import annotations

import re
from typing import Final

_MUCH_BYTES: Final = 65_536
_PIECE_BYTES: Final = 65_536
_HEAD: Final = re.compile(rb"(?:\r\n)*(?!\r\n).*?\r\n\r\n", re.DOTALL)  # with the empty lines before it


class Ahead:
    """Bytes in the order they came.

    They are taken in pieces that fit, and CPython lets go of a bytearray's front without moving the rest of it: a
    client that sends many small requests at once must not make the server copy all of them for each.
    """

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    def __repr__(self) -> str:
        return f"<Ahead {len(self)} bytes>"

    @property
    def is_much(self) -> bool:
        """Are more than 64 KiB here, so that the client should wait with the rest?"""
        return len(self._bytes) > _MUCH_BYTES

    def add(self, data: bytes) -> None:
        """Further bytes have come."""
        self._bytes += data

    def put_back(self, data: bytes) -> None:
        """These were taken and come before all others."""
        self._bytes[:0] = data

    def take_head(self) -> bytes:
        """The bytes up to the end of the next head, or all when it has none yet."""
        head = _HEAD.match(self._bytes)
        end = len(self._bytes) if head is None else head.end()
        del head  # it would lock the size of the buffer
        return self._take(end)

    def take_piece(self) -> bytes:
        """At most 64 KiB."""
        return self._take(_PIECE_BYTES)

    def clear(self) -> None:
        """Forget all."""
        self._bytes.clear()

    def _take(self, size: int) -> bytes:
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        return taken
