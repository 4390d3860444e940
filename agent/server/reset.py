"""Ends of a client's connection, such that a truncated answer cannot be taken for a whole one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct


def reset(transport: asyncio.Transport) -> None:
    """Drop what is unsent and close by RST, so that the peer cannot take what it has for a whole answer."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def end_now(transport: asyncio.Transport, *, whole: bool) -> None:
    """Close now: by RST when what was written is not ``whole`` or the peer would lack some of it, else by FIN.

    Over TLS that is never certain: what is encrypted already waits in a transport of its own, not counted here.
    """
    if not whole or transport.get_write_buffer_size() or transport.get_extra_info("ssl_object") is not None:
        reset(transport)
    else:
        transport.abort()


def half_close(transport: asyncio.Transport) -> None:
    """Say that nothing follows what was written, and go on reading."""
    if transport.can_write_eof():  # TLS cannot
        with contextlib.suppress(OSError):  # the peer has just gone
            transport.write_eof()
