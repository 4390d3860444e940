"""Where a body ends: tracking of framing without touching or copying a byte. Pure: standard library only."""

from __future__ import annotations

import re
from typing import Final, Protocol

from agent.errors import BadRequest, ExchangeError, MessageError
from agent.http1 import Framing

_SIZE_LINE_MAX_BYTES: Final = 256
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*"'
# Extensions by the letter of RFC 9112 7.1.1, without its "bad" blanks: the line is passed on as it came, and laxer or
# stricter parsers behind us must not see another one.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*\r\n")


class BodyTracker(Protocol):
    """Follows one body. ``done`` turns True at its last byte."""

    done: bool

    def feed(self, data: bytes, start: int = 0) -> int:
        """Follow ``data`` from ``start``; returns the offset behind the last byte that belongs to the body.

        Raises ``MessageError`` when the chunked coding is broken (RFC 9112 7.1).
        """


class NoBody:
    """A message without a body."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = True

    def feed(self, data: bytes, start: int = 0) -> int:  # noqa: ARG002 - the protocol's signature
        """No byte belongs to it."""
        return start


class LengthBody:
    """A body of ``length`` > 0 bytes."""

    __slots__ = ("_left", "done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = False

    def feed(self, data: bytes, start: int = 0) -> int:
        """Count down."""
        available = len(data) - start
        if available < self._left:
            self._left -= available
            return len(data)
        end = start + self._left
        self._left = 0
        self.done = True
        return end


class EofBody:
    """A body that ends with the connection (responses only); ``done`` is set by whoever sees the end."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes, start: int = 0) -> int:  # noqa: ARG002 - the protocol's signature
        """Everything belongs to it."""
        return len(data)


class ChunkedBody:
    """A chunked body (RFC 9112 7.1), followed strictly.

    Chunk extensions are passed over; trailer fields are refused, since they would carry fields around the closed
    lists of heads. ``payload``, when given, collects the decoded pieces (for HTTP/1.0 clients).
    """

    __slots__ = ("_answer", "_last", "_left", "_line", "_payload", "done")

    def __init__(self, answer: type[ExchangeError] = BadRequest, payload: list[bytes] | None = None) -> None:
        self._answer = answer
        self._payload = payload
        self._line = b""  # an unfinished size line or the CRLF behind a chunk
        self._left = 0  # bytes of the current chunk with its CRLF, still to come
        self._last = False
        self.done = False

    def feed(self, data: bytes, start: int = 0) -> int:
        """Follow the chunks."""
        position = start
        size = len(data)
        while position < size:
            if self._left > 2:
                # The two bytes that are left behind are the CRLF, which is looked at below.
                step = min(self._left - 2, size - position)
                if self._payload is not None:
                    self._payload.append(data[position : position + step])
                position += step
                self._left -= step
                continue
            if self._left:
                wanted = b"\r\n" if self._left == 2 else b"\n"
                step = min(self._left, size - position)
                if data[position : position + step] != wanted[:step]:
                    raise MessageError("A chunk does not end in CRLF (RFC 9112 7.1).", self._answer)
                position += step
                self._left -= step
                if self._last and self._left == 0:
                    self.done = True
                    return position
                continue
            position = self._size_line(data, position)
        return position

    def _size_line(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position, position + _SIZE_LINE_MAX_BYTES)
        if end < 0:
            self._line += data[position:]
            if len(self._line) > _SIZE_LINE_MAX_BYTES:
                raise MessageError("A chunk size line is too long.", self._answer)
            return len(data)
        line = self._line + data[position : end + 1] if self._line else data[position : end + 1]
        self._line = b""
        if len(line) > _SIZE_LINE_MAX_BYTES:
            raise MessageError("A chunk size line is too long.", self._answer)
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise MessageError("A chunk size is not a plain hexadecimal number (RFC 9112 7.1).", self._answer)
        chunk = int(match.group(1), 16)
        # After the last chunk only the empty line may follow: what stands there instead would be a trailer field.
        self._last = chunk == 0
        self._left = chunk + 2
        return end + 1


def tracker_for(framing: Framing, length: int, answer: type[ExchangeError] = BadRequest) -> BodyTracker:
    """The tracker for a head's framing; ``answer`` is the exchange error that a broken body becomes."""
    if framing is Framing.NONE:
        return NoBody()
    if framing is Framing.LENGTH:
        return LengthBody(length)
    if framing is Framing.CHUNKED:
        return ChunkedBody(answer)
    return EofBody()
