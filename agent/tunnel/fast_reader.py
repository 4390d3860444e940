"""How bytes come in on the fast path: read into memory that stays, and opened there.

asyncssh gets each read as new bytes, joins them to what is left of a packet, and cuts that off again: in a large
transfer each byte was copied twice, and 500 KiB were allocated and freed for each read. One buffer takes their place: a
loop asks for it and fills it in one go, so that all connections of a thread can share it, and idle ones hold nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from asyncssh.connection import SSHConnection

READ_MAX_BYTES: Final = 256 * 1024
"""As uvloop reads, and asyncio."""

HELD_MAX_BYTES: Final = 192 * 1024
"""The part of a packet that is put in front of the next read; what is longer is joined as asyncssh always does."""

_SMALL_BYTES: Final = 8 * 1024
"""Bytes of this size are handled in less time than a view of them."""


class _Shared(threading.local):
    """One for each thread: it has one loop."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(HELD_MAX_BYTES + READ_MAX_BYTES))


_shared: Final = _Shared()


class FastReader(asyncio.BufferedProtocol):
    """In place of ``conn`` as its transport's protocol; ``receive`` is the fast path's reader of a packet's head."""

    __slots__ = ("_conn", "_held_bytes", "_receive", "_room", "_view")

    def __init__(self, conn: SSHConnection, receive: Callable[[], bool]) -> None:
        self._conn = conn
        self._receive = receive
        self._held_bytes = 0
        self._view = _shared.view
        self._room = self._view[:READ_MAX_BYTES]

    def __repr__(self) -> str:
        return f"<FastReader {self._conn!r}>"

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the protocol's signature
        """Room for a read, behind what is held."""
        held = self._conn._inpbuf
        size = self._held_bytes = len(held)
        if not size:
            return self._room
        if size > HELD_MAX_BYTES:
            self._held_bytes = -1
            return self._room
        self._view[:size] = held
        return self._view[size : size + READ_MAX_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have come. Only the fast path may find them in the buffer; asyncssh cuts bytes."""
        conn, size = self._conn, self._held_bytes + nbytes
        if size < nbytes:
            conn.data_received(bytes(self._view[:nbytes]))
            return
        read = self._view[:size]
        is_ours = size > _SMALL_BYTES and conn._recv_handler == self._receive
        conn._inpbuf = read if is_ours else bytes(read)  # type: ignore[assignment]  # see FastPath.receive
        conn._recv_data()
        if is_ours:
            conn._inpbuf = bytes(conn._inpbuf)  # the buffer is the next one's now

    # -- as it was ---------------------------------------------------------------------------------------------------

    def eof_received(self) -> None:
        """As asyncssh has it."""
        self._conn.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncssh has it."""
        self._conn.connection_lost(exc)

    def pause_writing(self) -> None:
        """As the connection has it: see ``flow``."""
        self._conn.pause_writing()

    def resume_writing(self) -> None:
        """As the connection has it: see ``flow``."""
        self._conn.resume_writing()
