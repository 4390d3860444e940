"""A proxy that does what a test says, byte by byte: slow, wrong, hostile, or gone in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

Script = Callable[["ProxyConnection"], Awaitable[None]]

SOCKS_HELLO = b"\x05\x00"
SOCKS_GRANTED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"


@dataclass
class ProxyConnection:
    """One connection of a client; ``heard`` is everything that it said."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: bytearray = field(default_factory=bytearray)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)

    async def head(self) -> bytes:
        """A request head with its empty line."""
        return self._note(await self.reader.readuntil(b"\r\n\r\n"))

    async def exactly(self, count: int) -> bytes:
        """So many bytes."""
        return self._note(await self.reader.readexactly(count))

    async def send(self, content: bytes) -> None:
        """Write in one piece."""
        self.writer.write(content)
        await self.writer.drain()

    async def until_gone(self) -> None:
        """Read on until the client closes."""
        with contextlib.suppress(OSError):
            while piece := await self.reader.read(65536):
                self._note(piece)
        self.client_left.set()

    def _note(self, piece: bytes) -> bytes:
        self.heard += piece
        return piece


class ScriptedProxy:
    """Listens on loopback and runs ``script`` for each connection, which is closed when the script returns."""

    def __init__(self, script: Script, host: str = "127.0.0.1") -> None:
        self._script = script
        self._host = host
        self.connections: list[ProxyConnection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def all_left(self) -> None:
        """Wait until every client that came has closed its connection."""
        for connection in self.connections:
            await connection.client_left.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = ProxyConnection(reader, writer)
        self.connections.append(connection)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # the client left in the middle
                await self._script(connection)
        finally:
            self._tasks.discard(task)
            connection.client_left.set()
            writer.close()
