"""The store of the matrix: a process that keeps a ledger of what it was asked, and misbehaves when told to.

``python -m tests.faults.store`` takes commands as ``ControlLine`` does. Standard library only, and a parser of its own,
so that no defect of the product hides itself here.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Literal

from tests.faults.control_line import ControlLine
from tests.faults.ledger import Ledger, Wish, content

Mode = Literal["well", "hang_before_head", "hang_in_head", "hang_in_body", "close_on_reuse"]
PIECE_BYTES = 16384


@dataclass
class Request:
    """One request's head; ``number`` counts those of its connection."""

    method: str
    wish: Wish
    length_bytes: int
    number: int


class Connection:
    """One connection of the agent: requests one after another, kept alive."""

    def __init__(self, store: FaultStore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._store = store
        self._reader = reader
        self._writer = writer
        self._number = 0
        self.is_idle = True

    async def serve(self) -> None:
        """Until one of the two closes."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                self.is_idle = True
                head = await self._reader.readuntil(b"\r\n\r\n")
                self.is_idle = False
                self._number += 1
                request = self._parse(head)
                if request is None:
                    await self._send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nPSWS-Version: 8.1.0\r\n\r\n")
                elif not await self._exchange(request):
                    break

    def close(self) -> None:
        """Close, whatever runs."""
        self._writer.close()

    def _parse(self, head: bytes) -> Request | None:
        line, *fields = head.split(b"\r\n")
        method, target, _ = line.split(b" ")
        wish = Wish.from_target(target)
        if wish is None:
            return None
        length = [field.split(b":")[1] for field in fields if field.lower().startswith(b"content-length:")]
        return Request(method.decode(), wish, int(length[0]) if length else 0, self._number)

    async def _exchange(self, request: Request) -> bool:
        """True when the connection goes on."""
        store, wish, mode = self._store, request.wish, self._store.mode
        entry = store.ledger.entry(wish.nonce)
        entry.asked += 1
        store.tell(request, "head")
        if mode == "close_on_reuse" and request.number > 1:
            return False
        try:
            body = await self._body(request)
            entry.whole += 1
            entry.damaged += body != content(wish.nonce, request.length_bytes)
            store.tell(request, "whole")
            if mode in ("hang_before_head", "hang_in_head", "hang_in_body"):
                await self._hang(request, mode)
                return False
            await self._answer(request)
        except (ConnectionError, asyncio.IncompleteReadError):
            store.tell(request, "lost")
            raise
        entry.answered += 1
        return True

    async def _body(self, request: Request) -> bytes:
        taken = bytearray()
        half_told = False
        while len(taken) < request.length_bytes:
            data = await self._reader.read(min(65536, request.length_bytes - len(taken)))
            if not data:
                raise ConnectionResetError
            taken += data
            if not half_told and 2 * len(taken) >= request.length_bytes:
                half_told = True
                self._store.tell(request, "half")
        return bytes(taken)

    async def _answer(self, request: Request) -> None:
        wish = request.wish
        body = content(wish.nonce, wish.size_bytes)
        if wish.verb == "hold":
            await self._released(wish.nonce)
        await self._send(_head(request, len(body)))
        half = len(body) // 2
        await self._send(body[:half])
        if wish.verb == "half":
            await self._released(wish.nonce)
        await self._send(body[half:])

    async def _hang(self, request: Request, mode: Mode) -> None:
        """Say so much and no more, until the agent has had enough."""
        body = content(request.wish.nonce, request.wish.size_bytes)
        head = _head(request, len(body))
        if mode == "hang_in_head":
            await self._send(head[: len(head) // 2])
        elif mode == "hang_in_body":
            await self._send(head + body[: len(body) // 2])
        await self._gone()
        self._store.tell(request, "lost")

    async def _released(self, nonce: str) -> None:
        """Wait to be told, or for the agent to leave: then ConnectionResetError."""
        released = asyncio.ensure_future(self._store.release_of(nonce).wait())
        gone = asyncio.ensure_future(self._gone())
        try:
            await asyncio.wait({released, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (released, gone):
                task.cancel()
            await asyncio.gather(released, gone, return_exceptions=True)
        if not released.done() or released.cancelled():
            raise ConnectionResetError

    async def _gone(self) -> None:
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass

    async def _send(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE_BYTES):
            self._writer.write(data[at : at + PIECE_BYTES])
            await self._writer.drain()


class FaultStore:
    """Listens on a loopback port, ``open`` tells which."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.mode: Mode = "well"
        self._connections: set[Connection] = set()
        self._releases: dict[str, asyncio.Event] = {}
        self._all_released = False
        self._server: asyncio.Server | None = None
        self.control = ControlLine(
            {
                "open": self.open,
                "behave": self.behave,
                "release": self.release,
                "hold_again": self.hold_again,
                "close_idle": self.close_idle,
                "connections": self.connections,
                "take": self.take,
            }
        )

    def tell(self, request: Request, stage: str) -> None:
        """What has become of a request: head, half (of its body), whole, lost (the agent left first)."""
        self.control.tell("request", nonce=request.wish.nonce, stage=stage, method=request.method)

    def release_of(self, nonce: str) -> asyncio.Event:
        """Set when this nonce's answer may go on."""
        release = self._releases.setdefault(nonce, asyncio.Event())
        if self._all_released:
            release.set()
        return release

    async def open(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256)
        return int(self._server.sockets[0].getsockname()[1])

    async def behave(self, mode: Mode) -> None:
        """From the next request on."""
        self.mode = mode

    async def release(self) -> None:
        """Let every held answer go on, and hold none from now on."""
        self._all_released = True
        for release in self._releases.values():
            release.set()

    async def hold_again(self) -> None:
        """Hold what asks for it."""
        self._all_released = False
        self._releases.clear()

    async def close_idle(self) -> int:
        """Close kept-alive connections that wait for a request; how many."""
        idle = [connection for connection in self._connections if connection.is_idle]
        for connection in idle:
            connection.close()
        return len(idle)

    async def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def take(self) -> dict[str, dict[str, int]]:
        """The ledger so far."""
        return self.ledger.take()

    async def run(self) -> None:
        """Until standard input ends."""
        await self.control.run()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)
            writer.close()


def _head(request: Request, size_bytes: int) -> bytes:
    status = "200 OK" if request.method == "GET" else "201 Created"
    return f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {size_bytes}\r\n\r\n".encode()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(FaultStore().run())
