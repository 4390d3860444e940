"""Swallows every attempt to connect: a real listener whose queue is full, so that Linux drops the SYN."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def black_hole(host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Its port, for as long as it is entered."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server((host, 0), backlog=0))
        port: int = listening.getsockname()[1]
        while True:  # nobody accepts: whoever gets no answer has found the queue full
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            try:
                async with asyncio.timeout(0.1):
                    await asyncio.get_running_loop().sock_connect(sock, (host, port))
            except TimeoutError:
                break
        yield port
