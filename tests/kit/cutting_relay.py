"""A TCP relay that cuts a connection after an exact number of bytes, by RST or FIN, or freezes it for good."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Literal, Self, cast

Direction = Literal["up", "down"]
Kind = Literal["rst", "fin"]


@dataclass(frozen=True)
class Cut:
    """``after_bytes`` in ``direction``, counted from ``CuttingRelay.arm``: so many pass, and not one more.

    0 cuts when the first byte comes, any other number as soon as that byte has passed.
    """

    direction: Direction
    after_bytes: int
    kind: Kind


class CuttingRelay:
    """Listens on a loopback port and passes bytes to ``target_port``; up is towards the target.

    ``passed`` counts the bytes since ``arm`` or ``count``. A cut ends the connection whose byte it was, on both sides.
    Frozen connections stay open and pass nothing, in either direction, whatever comes; new ones are not affected.
    """

    def __init__(self, target_port: int = 0) -> None:
        self.target_port = target_port
        self.port = 0
        self.connections = 0
        self.accepted_at_s: list[float] = []
        self.passed: dict[Direction, int] = {"up": 0, "down": 0}
        self.cuts = 0
        self._cut: Cut | None = None
        self._ends: set[_End] = set()
        self._server: asyncio.Server | None = None
        self._dials: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _End(self, "up"), "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for dial in tuple(self._dials):
            dial.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)
        for end in tuple(self._ends):
            end.end("rst")

    def arm(self, cut: Cut) -> None:
        """Cut once, counting from now."""
        self.count()
        self._cut = cut

    def count(self) -> None:
        """Cut nothing; count from now."""
        self._cut = None
        self.passed = {"up": 0, "down": 0}

    def freeze(self) -> None:
        """The connections that are open now pass nothing any more, not even their end."""
        for end in self._ends:
            end.frozen = True

    def accepted(self, near: _End) -> None:
        """A connection has come: make its other half."""
        self.connections += 1
        loop = asyncio.get_running_loop()
        self.accepted_at_s.append(loop.time())
        dial = loop.create_task(self._dial(near), name="relay-dial")
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)

    async def _dial(self, near: _End) -> None:
        far = _End(self, "down")
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, "127.0.0.1", self.target_port)
        except OSError:
            near.end("rst")
            return
        near.join(far)

    def opened(self, end: _End) -> None:
        """One half of a connection is there."""
        self._ends.add(end)

    def closed(self, end: _End) -> None:
        """One half of a connection is gone."""
        self._ends.discard(end)

    def let_pass(self, direction: Direction, data: bytes) -> tuple[bytes, Kind | None]:
        """What of ``data`` goes on, and how the connection ends after it."""
        cut = self._cut
        if cut is None or cut.direction != direction:
            self.passed[direction] += len(data)
            return data, None
        left = cut.after_bytes - self.passed[direction]
        self.passed[direction] += min(left, len(data))
        if len(data) < left:
            return data, None
        self._cut = None
        self.cuts += 1
        return data[:left], cut.kind


class _End(asyncio.Protocol):
    """One socket of a relayed connection; ``direction`` is where the bytes go that it receives."""

    def __init__(self, relay: CuttingRelay, direction: Direction) -> None:
        self._relay = relay
        self._direction = direction
        self._transport: asyncio.Transport
        self._other: _End | None = None
        self._early = b""
        self.frozen = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._relay.opened(self)
        if self._direction == "up":
            self._relay.accepted(self)

    def join(self, other: _End) -> None:
        """The other half is there."""
        if self._transport.is_closing():
            other.end("rst")
            return
        self._other, other._other = other, self
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        if self.frozen:
            return
        if self._other is None:
            self._early += data
            return
        passed, kind = self._relay.let_pass(self._direction, data)
        if passed:
            self._other._transport.write(passed)
        if kind is not None:
            other, self._other = self._other, None
            other._other = None
            other.end(kind)
            self.end(kind)

    def eof_received(self) -> bool:
        return self.frozen  # a frozen end stays half open: its peer is not told anything

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.closed(self)
        other, self._other = self._other, None
        if other is not None and not self.frozen:
            other._other = None
            other.end("fin" if exc is None else "rst")

    def end(self, kind: Kind) -> None:
        """End this socket: by RST at once, or by FIN after what was written."""
        if kind == "fin":
            self._transport.close()
            return
        sock = cast("socket.socket", self._transport.get_extra_info("socket"))
        if sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
