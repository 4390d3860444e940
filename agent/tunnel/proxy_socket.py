"""Reading a proxy's answer from a connected socket, and not one byte more: what follows belongs to SSH."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Final

HEAD_MAX_BYTES: Final = 16 * 1024

_HEAD_END: Final = re.compile(rb"\n\r?\n")  # RFC 9112 section 2.2: a bare LF is a line's end as well
_HEAD_START: Final = b"HTTP/1."


class HeadError(Exception):
    """What came is no HTTP head: too long (``too_long``), or it begins otherwise."""

    def __init__(self, *, too_long: bool) -> None:
        super().__init__("head too long" if too_long else "no HTTP head")
        self.too_long = too_long


async def receive_exactly(sock: socket.socket, count: int) -> bytes:
    """``count`` bytes. Raises ``EOFError`` when the other side closes before, ``OSError`` as the socket does."""
    loop = asyncio.get_running_loop()
    received = b""
    while len(received) < count:
        piece = await loop.sock_recv(sock, count - len(received))
        if not piece:
            raise EOFError
        received += piece
    return received


async def receive_head(sock: socket.socket) -> bytes:
    """A response head with its empty line; at most 16 KiB, status line and fields together.

    The bytes after it, a server's greeting in the same segment, stay in the socket: the queue is looked at
    (``MSG_PEEK``) before exactly the head is taken out of it.

    Raises:
        HeadError: longer, or does not begin with ``HTTP/1.``, which is told at the first wrong byte.
        EOFError: the other side closed before the end of the head.
    """
    head = bytearray()
    while len(head) < HEAD_MAX_BYTES:
        await _readable(sock)
        try:
            queued = sock.recv(HEAD_MAX_BYTES - len(head), socket.MSG_PEEK)
        except BlockingIOError:
            continue
        if not queued:
            raise EOFError
        seen = bytes(head) + queued
        if not seen.startswith(_HEAD_START[: len(seen)]):
            raise HeadError(too_long=False)
        end = _HEAD_END.search(seen, max(0, len(head) - 2))
        # Without an end all of it is head; taken out, it cannot wake this loop again and again.
        head += sock.recv((end.end() if end else len(seen)) - len(head))
        if end and len(head) == end.end():
            return bytes(head)
    raise HeadError(too_long=True)


async def _readable(sock: socket.socket) -> None:
    """Wait until something can be read; event loops offer no call that waits without reading."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock, _wake, readable)
    try:
        await readable
    finally:
        loop.remove_reader(sock)


def _wake(readable: asyncio.Future[None]) -> None:
    if not readable.done():  # the loop may call twice before the waiting task has run
        readable.set_result(None)
