"""One client connection: reads requests one after another (pipelined ones too) and writes their answers in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from agent.demo.store import pages
from agent.demo.store.answer import Answer, Asked, render
from agent.demo.store.body import BodyReader, BrokenBody
from agent.demo.store.config import Front
from agent.demo.store.head import LINE_MAX, BadHead, RequestHead, parse_head

_HEAD_MAX = 110 * LINE_MAX
_NGINX_BODY_MAX = 1024 * 1024
"""client_max_body_size of a stock nginx."""


@dataclass(slots=True)
class Traffic:
    """What has come in so far. ``bytes_received`` counts everything, also what was refused."""

    connections: int = 0
    requests: int = 0
    bytes_received: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """What a connection needs: who answers, how big a body may be, the delay before an answer, and who is told."""

    answer: Callable[[RequestHead, bytes, Front], Answer]
    traffic: Traffic
    body_max_bytes: int
    delay_s: Callable[[], float]
    arrived: Callable[[], None]
    opened: Callable[[Connection], None]
    closed: Callable[[Connection], None]


class Connection(asyncio.Protocol):
    """The server's end of one TCP or TLS connection."""

    def __init__(self, service: Service, front: Front) -> None:
        self._service = service
        self._front = front
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        # Per request: its head and body while they come in, and whether its answer is still to be written.
        self._current: tuple[RequestHead, BodyReader] | None = None
        self._busy = False
        self._writable = True
        self._eof = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start waiting for the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._service.traffic.connections += 1
        self._service.opened(self)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        """Drop what was under way."""
        self._stop_timer()
        self._transport = None
        self._service.closed(self)

    def data_received(self, data: bytes) -> None:
        """Take in bytes and answer what is complete."""
        self._service.traffic.bytes_received += len(data)
        self._stop_timer()
        self._buffer += data
        self._advance()

    def eof_received(self) -> bool:
        """Answer what has come completely, then close."""
        self._eof = True
        return self._busy

    def pause_writing(self) -> None:
        """The client reads slowly: do not work on its next request."""
        self._writable = False

    def resume_writing(self) -> None:
        """The client caught up."""
        self._writable = True
        self._advance()

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        """Read and answer for as long as there is something complete and nothing is being written."""
        try:
            while self._transport is not None and not self._busy and self._writable and self._step():
                pass
        except BadHead as bad:
            self._refuse(pages.server_error(bad.status, bad.detail, nginx=self._front.style == "nginx"))
        except BrokenBody:
            self._refuse(pages.server_error(400, nginx=self._front.style == "nginx"))
        if self._transport is not None and not self._busy and not self._transport.is_closing():
            self._wait()

    def _step(self) -> bool:
        """One part of a request; whether something was done."""
        if self._current is None:
            while self._buffer.startswith(b"\r\n"):
                del self._buffer[:2]
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _HEAD_MAX:
                    raise BadHead(400)
                return False
            raw = bytes(self._buffer[: end + 4])
            del self._buffer[: end + 4]
            self._begin(parse_head(raw))
            return True
        head, reader = self._current
        if not reader.feed(self._buffer):
            return False
        body = reader.content()
        self._current = None
        self._busy = True
        self._service.traffic.requests += 1
        self._service.arrived()
        answer = self._service.answer(head, body, self._front)
        delay_s = self._service.delay_s()
        if delay_s > 0:
            self._loop.call_later(delay_s, self._finish, head, answer)
        else:
            self._finish(head, answer)
        return True

    def _begin(self, head: RequestHead) -> None:
        if self._front.style == "nginx" and head.length > _NGINX_BODY_MAX:
            raise BadHead(413)
        reader = BodyReader(None if head.chunked else head.length, self._service.body_max_bytes)
        self._current = (head, reader)
        if head.field("Expect") is not None and head.version == "HTTP/1.1" and not self._buffer:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _finish(self, head: RequestHead, answer: Answer) -> None:
        self._busy = False
        if self._transport is None:
            return
        asked = Asked(
            method=head.method,
            http10=head.version == "HTTP/1.0",
            close=head.wants_close or self._eof,
            accepts_gzip="gzip" in (head.field("Accept-Encoding") or "").lower(),
            byte_range=head.field("Range"),
        )
        content, closes = render(answer, asked, self._front.style)
        self._write(content)
        if closes:
            self._transport.close()
        elif self._buffer:
            self._loop.call_soon(self._advance)
        else:
            self._wait()

    def _refuse(self, answer: Answer) -> None:
        """The web server itself refuses; the connection ends."""
        content, _ = render(answer, Asked(close=answer.status != 417), self._front.style)
        self._write(content)
        if self._transport is not None:
            self._transport.close()

    def _write(self, content: bytes) -> None:
        if self._transport is not None:
            self._transport.write(content)

    def _wait(self) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(self._front.keep_alive_s, self._idle)

    def _idle(self) -> None:
        if self._transport is not None and not self._busy:
            self._transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
