"""Happy eyeballs (RFC 8305): a TCP connection to whichever address of a name answers first.

asyncssh has none and uvloop's ``create_connection`` has none either, so addresses are raced here and the winner's
socket is handed on. The name is resolved anew at each call.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

Dial = Callable[[str, int], Awaitable[socket.socket]]
"""Host and port to a connected, non-blocking socket; a proxy takes this place. Raises ``OSError``."""

STAGGER_S: Final = 0.25  # RFC 8305 section 8: connection attempt delay

_Address = tuple[int, tuple[object, ...]]


async def dial(host: str, port: int, stagger_s: float = STAGGER_S) -> socket.socket:
    """Connect to ``host:port``; the caller sets the time limit. Raises ``OSError`` when no address answers."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    waiting = deque(interleave([(family, address) for family, _, _, _, address in found]))
    running: set[asyncio.Task[socket.socket]] = set()
    failure: OSError = OSError(f"the name {host} has no address")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connect(*waiting.popleft()), name=f"dial-{host}"))
            done, _ = await asyncio.wait(
                running, timeout=stagger_s if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                running.discard(task)
                error = task.exception()
                if error is None:
                    return task.result()  # a second winner of the same turn is closed below
                if not isinstance(error, OSError):
                    raise error
                failure = error
    finally:
        await _dispose(running)
    raise failure


def interleave(addresses: list[_Address]) -> list[_Address]:
    """Alternate the families, beginning with the resolver's first choice (RFC 8305 section 4)."""
    if not addresses:
        return []
    first = [entry for entry in addresses if entry[0] == addresses[0][0]]
    other = [entry for entry in addresses if entry[0] != addresses[0][0]]
    mixed: list[_Address] = []
    for index in range(max(len(first), len(other))):
        mixed += first[index : index + 1] + other[index : index + 1]
    return mixed


async def _connect(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:  # cancelled, too: nobody else knows this socket yet
        sock.close()
        raise
    return sock


async def _dispose(tasks: set[asyncio.Task[socket.socket]]) -> None:
    """Stop the losers and close what they may have connected."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, socket.socket):
            result.close()
