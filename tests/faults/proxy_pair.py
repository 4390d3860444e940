"""One connection through the fault proxy: two streams of bytes, and the faults that strike them. Standard library only.

Directions: ``up`` leads from who connected to the target, ``down`` back.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["up", "down"]
Side = Literal["near", "far"]
Tell = Callable[..., None]

QUEUE_MAX_BYTES = 1 << 20
QUEUE_MAX_BYTES_AT_RATE = 8192
RATE_PIECE_S = 0.02


@dataclass
class Conditions:
    """What a direction is like for as long as it is set; times in seconds. ``piece_bytes`` are sent at a time, with
    ``pause_s`` in between (a slow drip)."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    rate_bytes_s: float = 0.0
    piece_bytes: int = 65536
    pause_s: float = 0.0


@dataclass
class Strike:
    """One fault of one stream, to happen when ``after_bytes`` more have passed, or ``marker`` has."""

    what: str
    after_bytes: int = 0
    marker: bytes = b""
    side: Side = "near"
    count: int = 1


@dataclass
class Stream:
    """One direction. Read into a queue, which holds the delay, and written from it, at the rate."""

    name: Direction
    source: socket.socket
    sink: socket.socket
    conditions: Conditions
    pair: Pair
    passed_bytes: int = 0
    swallows: bool = False
    ended: bool = False
    strikes: list[Strike] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._queue: deque[tuple[float, bytes]] = deque()
        self._queued_bytes = 0
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._last_due = 0.0
        self._flips = 0
        self._cuts = 0
        self._tail = b""

    async def read(self) -> None:
        """From the source into the queue, until its end. What a black hole swallows is acknowledged and gone."""
        conditions = self.conditions
        try:
            while True:
                limit = QUEUE_MAX_BYTES_AT_RATE if conditions.rate_bytes_s else QUEUE_MAX_BYTES
                while self._queued_bytes > limit:
                    await self._wait()
                data = await self._loop.sock_recv(self.source, 65536)
                if not data:
                    break
                self._take(data)
        except OSError:
            if not self.swallows:
                self.pair.end("rst")
                return
        if self.swallows:
            self.ended = True
            self.pair.look()
        else:
            self._put(b"")

    async def write(self) -> None:
        """From the queue into the sink; a sink that is gone is noticed by the stream that reads from it."""
        try:
            while True:
                while not self._queue:
                    await self._wait()
                due, data = self._queue.popleft()
                self._queued_bytes -= len(data)
                self._changed.set()
                wait_s = due - self._loop.time()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                if not data:
                    self.sink.shutdown(socket.SHUT_WR)
                    break
                await self._send(data)
        except OSError:
            self._queue.clear()
        self.ended = True
        self.pair.look()

    def strike(self, strike: Strike) -> None:
        """Let it happen, now or when its time comes."""
        if strike.after_bytes or strike.marker:
            strike.after_bytes += self.passed_bytes
            self.strikes.append(strike)
        else:
            self._happen(strike)

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _take(self, data: bytes) -> None:
        """Pass bytes on, up to each strike, then what is left under what the strike has made of this stream."""
        if self._strikes_by_marker(data):
            return
        while data:
            due = [each for each in self.strikes if not each.marker]
            room = min((each.after_bytes for each in due), default=self.passed_bytes + len(data)) - self.passed_bytes
            piece, data = data[:room], data[room:]
            self.passed_bytes += len(piece)
            self._put_altered(piece)
            for each in [each for each in due if each.after_bytes <= self.passed_bytes]:
                self.strikes.remove(each)
                self._happen(each)

    def _strikes_by_marker(self, data: bytes) -> bool:
        """Does a marker end in these bytes? Then they pass, and it happens."""
        for strike in [each for each in self.strikes if each.marker]:
            if strike.marker in self._tail + data:
                self.strikes.remove(strike)
                self.passed_bytes += len(data)
                self._put_altered(data)
                self._happen(strike)
                return True
        self._tail = data[-256:]
        return False

    def _happen(self, strike: Strike) -> None:
        self.pair.tell("struck", what=strike.what, direction=self.name, passed_bytes=self.passed_bytes)
        if strike.what == "black_hole":
            self.swallows = True
        elif strike.what == "corrupt":
            self._flips += strike.count
        elif strike.what == "truncate":
            self._cuts += strike.count
        else:
            self.pair.end(strike.what, strike.side)

    def _put_altered(self, data: bytes) -> None:
        if not data or self.swallows:
            return
        if self._flips:
            flips, self._flips = min(self._flips, len(data)), max(0, self._flips - len(data))
            data = bytes(byte ^ 0x10 for byte in data[:flips]) + data[flips:]
        if self._cuts:
            cuts, self._cuts = min(self._cuts, len(data)), max(0, self._cuts - len(data))
            data = data[cuts:]
        if data:
            self._put(data)

    def _put(self, data: bytes) -> None:
        conditions = self.conditions
        wait_s = conditions.delay_s + (random.random() * conditions.jitter_s if conditions.jitter_s else 0.0)
        self._last_due = max(self._last_due, self._loop.time() + wait_s)
        self._queue.append((self._last_due, data))
        self._queued_bytes += len(data)
        self._changed.set()

    async def _send(self, data: bytes) -> None:
        conditions = self.conditions
        while data:
            size = conditions.piece_bytes
            if conditions.rate_bytes_s:
                size = max(64, int(conditions.rate_bytes_s * RATE_PIECE_S))
            piece, data = data[:size], data[size:]
            await self._loop.sock_sendall(self.sink, piece)
            pause_s = len(piece) / conditions.rate_bytes_s if conditions.rate_bytes_s else conditions.pause_s
            if pause_s:
                await asyncio.sleep(pause_s)


class Pair:
    """A connection that was accepted (near) and the one to the target (far)."""

    def __init__(
        self, number: int, near: socket.socket, far: socket.socket, up: Conditions, down: Conditions, tell: Tell
    ) -> None:
        self.number = number
        self._near, self._far = near, far
        self._tell = tell
        self._over = asyncio.Event()
        self._how: str = "close"
        self._side: Side = "near"
        self.up = Stream("up", near, far, up, self)
        self.down = Stream("down", far, near, down, self)

    @property
    def streams(self) -> tuple[Stream, Stream]:
        """Both directions."""
        return self.up, self.down

    def tell(self, event: str, **fields: object) -> None:
        """Record what happened to this connection."""
        self._tell(event, connection=self.number, **fields)

    def end(self, how: str, side: Side = "near") -> None:
        """``rst`` or ``fin`` both sides, or ``half_open``: reset ``side``, keep the other, silent."""
        if not self._over.is_set():
            self._how, self._side = how, side
            self._over.set()

    def look(self) -> None:
        """Over when both directions are."""
        if self.up.ended and self.down.ended:
            self.end("close")

    async def run(self) -> None:
        """Until both sides are closed."""
        work = [
            asyncio.create_task(step(), name=f"proxy-{self.number}-{stream.name}-{step.__name__}")
            for stream in self.streams
            for step in (stream.read, stream.write)
        ]
        try:
            await self._over.wait()
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)  # before any close: the loop still knows the sockets
            await self._finish()

    async def _finish(self) -> None:
        near, far = self._near, self._far
        try:
            if self._how == "fin":
                for sock in (near, far):
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_WR)
                await asyncio.gather(_swallow(near), _swallow(far))
            elif self._how == "half_open":
                reset, kept = (near, far) if self._side == "near" else (far, near)
                _reset(reset)
                await _swallow(kept)
        finally:
            for sock in (near, far):
                if self._how == "rst":
                    _reset(sock)
                sock.close()
            self.tell("closed", how=self._how)


async def _swallow(sock: socket.socket) -> None:
    """Read and drop until the other side closes."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while await loop.sock_recv(sock, 65536):
            pass


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
