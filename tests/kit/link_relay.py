"""A TCP relay that a test can stop, in either direction, and cut: a slow link and a black hole without a kernel."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from typing import Any, Self


class LinkRelay:
    """Listens on a loopback port and passes bytes to ``target_port``.

    ``up`` (towards the target) and ``down`` can be cleared to hold the bytes back; nothing is read from the socket
    meanwhile, so that the sender meets TCP's own back-pressure.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: list[socket.socket] = []
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.up.set()
        self.down.set()
        self.port = 0
        self.connections = 0

    async def __aenter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self._sockets.append(listener)
        self.port = listener.getsockname()[1]
        self._spawn(self._accept(listener))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._sockets:
            sock.close()

    def hold(self) -> None:
        """Pass nothing in either direction."""
        self.up.clear()
        self.down.clear()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            near, _ = await loop.sock_accept(listener)
            far = socket.socket()
            for sock in (near, far):
                sock.setblocking(False)
                self._sockets.append(sock)
            await loop.sock_connect(far, ("127.0.0.1", self._target_port))
            self.connections += 1
            self._spawn(self._pump(near, far, self.up))
            self._spawn(self._pump(far, near, self.down))

    async def _pump(self, source: socket.socket, sink: socket.socket, gate: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                await gate.wait()
                chunk = await loop.sock_recv(source, 65536)
                await gate.wait()
                if not chunk:
                    break
                await loop.sock_sendall(sink, chunk)
        except OSError:
            pass
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
