"""A store whose answers are a script: a real socket that records every byte and answers what it was told to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from agent.body import tracker_for
from agent.http1 import parse_request_head


@dataclass
class StoreRequest:
    """One request as the store's socket received it."""

    raw_head: bytes
    body: bytes
    connection: int
    sequence: int


@dataclass
class StoreConnection:
    """What a script answers with: the store's side of one TCP connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    received: bytearray = field(default_factory=bytearray)

    async def send(self, data: bytes) -> None:
        """Send and wait until the socket has taken it."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close by RST."""
        linger_off(self.writer)
        self.writer.transport.abort()

    async def until_gone(self) -> bytes:
        """Everything that still comes, until the other side closes or resets the connection."""
        rest = bytearray()
        with contextlib.suppress(ConnectionError):
            while data := await self.reader.read(65536):
                rest += data
        return bytes(rest)


def linger_off(writer: asyncio.StreamWriter) -> None:
    """From now on closing this connection is a RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Script = Callable[[StoreRequest, StoreConnection], Awaitable[bytes | None]]


def ok(body: bytes = b"<prestashop/>", extra: bytes = b"") -> bytes:
    """A small good answer."""
    return (
        b"HTTP/1.1 200 OK\r\nServer: scripted\r\n" + extra + b"Content-Type: text/xml;charset=utf-8\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )


async def always_ok(request: StoreRequest, connection: StoreConnection) -> bytes | None:
    """The script that answers 200 to everything."""
    return ok()


class ScriptedStore:
    """Runs ``script`` for each request: it returns bytes to send, or None when it has sent or ended things itself.

    ``requests`` and ``received`` (all bytes of all connections) tell what arrived. With ``at_head`` the script runs as
    soon as a head is there (``body`` is what came along with it) and has the rest of the connection to itself.
    """

    def __init__(self, script: Script = always_ok, *, tls: ssl.SSLContext | None = None, at_head: bool = False) -> None:
        self.at_head = at_head
        self.script = script
        self.requests: list[StoreRequest] = []
        self.connections: list[StoreConnection] = []
        self.closed = 0
        self.arrived = asyncio.Condition()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self.connections:
            connection.writer.transport.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def received(self) -> bytes:
        """Every byte that any connection brought."""
        return b"".join(bytes(connection.received) for connection in self.connections)

    async def wait_for_requests(self, count: int) -> None:
        """Until so many requests have arrived whole."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.requests) >= count)

    async def wait_for_connections_closed(self, count: int) -> None:
        """Until so many connections have ended, from whichever side."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.closed >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = StoreConnection(reader, writer, len(self.connections))
        self.connections.append(connection)
        try:
            await self._exchanges(connection)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            pass  # the end of the test; asyncio's own callback would log it
        finally:
            writer.transport.abort()
            self._tasks.discard(task)
            self.closed += 1
            async with self.arrived:
                self.arrived.notify_all()

    async def _exchanges(self, connection: StoreConnection) -> None:
        sequence = 0
        pending = b""
        while True:
            while b"\r\n\r\n" not in pending:
                data = await connection.reader.read(65536)
                if not data:
                    return
                connection.received += data
                pending += data
            raw_head, _, pending = pending.partition(b"\r\n\r\n")
            head = parse_request_head(raw_head + b"\r\n\r\n")
            if self.at_head:
                await self._alone(StoreRequest(raw_head + b"\r\n\r\n", pending, connection.number, 0), connection)
                return
            body = tracker_for(head.framing, head.length)
            taken = bytearray()
            while not body.done:
                if pending:
                    end = body.feed(pending)
                    taken += pending[:end]
                    pending = pending[end:]
                    continue
                pending = await connection.reader.read(65536)
                if not pending:
                    return
                connection.received += pending
            request = StoreRequest(raw_head + b"\r\n\r\n", bytes(taken), connection.number, sequence)
            sequence += 1
            await self._note(request)
            answer = await self.script(request, connection)
            if answer is not None:
                await connection.send(answer)
            if connection.writer.is_closing():
                return

    async def _alone(self, request: StoreRequest, connection: StoreConnection) -> None:
        await self._note(request)
        answer = await self.script(request, connection)
        if answer is not None:
            await connection.send(answer)
            await connection.until_gone()

    async def _note(self, request: StoreRequest) -> None:
        self.requests.append(request)
        async with self.arrived:
            self.arrived.notify_all()
