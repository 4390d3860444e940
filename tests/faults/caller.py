"""One request on a connection of its own to the gateway, read as it comes; tells what a client really saw."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

from agent.http1 import ResponseHead
from agent.response_reader import ResponseReader
from tests.faults.expectation import End, Sees
from tests.faults.ledger import Wish, content


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client saw. ``status`` 0: no final head. ``how``: whole, reset, eof (before the end), or left."""

    wish: Wish
    how: str
    status: int
    error: str
    message: str
    request_id: str
    is_right: bool
    took_s: float

    def fault(self, expected: Sees) -> str:
        """Why this is not what was expected; "" when it is."""
        return "" if self._is(expected) else f"expected {expected}, saw {self}"

    def _is(self, expected: Sees) -> bool:
        match expected.end:
            case End.ANSWER:
                return self.how == "whole" and self.status in (200, 201) and not self.error and self.is_right
            case End.RESET:
                return self.how == "reset" and self.status in (200, 201) and not self.error and self.is_right
            case End.BROKEN:
                return self.how in ("reset", "eof") and not self.error and self.is_right
            case End.LEFT:
                return self.how == "left"
            case End.ERROR:
                kind = expected.error
                assert kind is not None
                told = "outcome: unknown" in self.message
                named = self.error == kind.name and self.status == kind.status
                return self.how == "whole" and named and told is expected.unknown and bool(self.request_id)
        return False


class Caller(asyncio.Protocol):
    """Sends what it is told and keeps what comes; ``open`` connects."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._changed = asyncio.Event()
        self._heads: list[ResponseHead] = []
        self._reader = ResponseReader(self._keep, to_head=False, rewrite_interim=self._keep)
        self._body = bytearray()
        self._how = ""
        self._began_at = self._ended_at = self._loop.time()

    async def open(self, port: int) -> None:
        """Connect to the gateway. Raises ``ConnectionError``."""
        await self._loop.create_connection(lambda: self, "127.0.0.1", port)

    def send(self, data: bytes) -> None:
        """Send, whether or not anyone still listens."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def stop_reading(self) -> None:
        """Leave what comes in the kernel."""
        self._transport.pause_reading()

    def read_on(self) -> None:
        """Take it."""
        self._transport.resume_reading()

    def leave(self) -> None:
        """Go, without a word more."""
        self._end("left")
        self._transport.abort()

    async def received(self, body_bytes: int) -> None:
        """Wait until so much of the body is there, or the end."""
        while not self._how and len(self._body) < body_bytes:
            self._changed.clear()
            await self._changed.wait()

    async def seen(self, timeout_s: float = 40.0) -> Seen:
        """Wait for the end."""
        async with asyncio.timeout(timeout_s):
            while not self._how:
                self._changed.clear()
                await self._changed.wait()
        self._transport.abort()
        head = self._reader.head
        fields = {field.split(b":")[0].lower(): field.split(b":", 1)[1] for field in _fields(head)}
        error = fields.get(b"proxy-status", b"").partition(b'details="')[2].partition(b'"')[0].decode()
        body = bytes(self._body)
        right = content(self.wish.nonce, self.wish.size_bytes)
        return Seen(
            wish=self.wish,
            how=self._how,
            status=head.status if head is not None else 0,
            error=error,
            message=body.decode("latin-1") if error else "",
            request_id=fields.get(b"x-request-id", b"").strip().decode(),
            is_right=body == right if self._how == "whole" and not error else right.startswith(body),
            took_s=self._ended_at - self._began_at,
        )

    # -- the socket says -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._began_at = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Some of the answer."""
        before = len(self._heads)
        passed = self._reader.feed(data)
        heads = b"".join(head.raw for head in self._heads[before:])
        self._body += passed.removeprefix(heads)
        if self._reader.done:
            self._end("whole")
        self._changed.set()

    def eof_received(self) -> bool:
        """A clean end."""
        self._end("whole" if self._reader.head is not None and self._reader.eof() else "eof")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, clean or not."""
        self._end("reset" if exc is not None else "eof")

    def _keep(self, head: ResponseHead) -> bytes:
        self._heads.append(head)
        return head.raw

    def _end(self, how: str) -> None:
        if not self._how:
            self._how = how
            self._ended_at = self._loop.time()
            self._changed.set()


def _fields(head: ResponseHead | None) -> list[bytes]:
    return [line for line in head.raw.split(b"\r\n")[1:] if line] if head is not None else []
