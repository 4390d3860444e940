"""One HTTP exchange as recorded, as typed values and as the bytes that went over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Headers = tuple[tuple[str, str], ...]
RequestFraming = Literal["none", "content-length", "chunked"]
ResponseFraming = Literal["none", "content-length", "chunked", "eof"]

_PIECE_BYTES = 64 * 1024
"""Bodies and fillers are handed out in pieces of at most this size unless chunk sizes were recorded."""


@dataclass(frozen=True, slots=True)
class BodyFill:
    """A big body in short: ``prefix``, then ``text`` repeated ``times``, then ``suffix``."""

    prefix: bytes
    text: bytes
    times: int
    suffix: bytes

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces of about 64 KiB."""
        if self.prefix:
            yield self.prefix
        per_piece = max(1, _PIECE_BYTES // max(1, len(self.text)))
        left = self.times
        while left > 0:
            count = min(left, per_piece)
            yield self.text * count
            left -= count
        if self.suffix:
            yield self.suffix


@dataclass(frozen=True, slots=True)
class Interim:
    """One 1xx answer that came before the final one."""

    version: str
    status: int
    reason: str
    headers: Headers

    def head_bytes(self) -> bytes:
        """Status line, fields and the empty line."""
        return _head(f"{self.version} {self.status} {self.reason}", self.headers)


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it went over the wire. ``body`` is after de-chunking; None when ``fill`` describes it."""

    method: str
    target: str
    version: str
    headers: Headers
    framing: RequestFraming
    chunks: tuple[int, ...]
    body: bytes | None
    fill: BodyFill | None
    body_length: int
    body_sha256: str | None

    def header(self, name: str) -> str | None:
        """Value of the first field called ``name`` (any case)."""
        return _first(self.headers, name)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waited for a 100 before it sent its body."""
        return (self.header("Expect") or "").lower() == "100-continue"

    def head_bytes(self) -> bytes:
        """Request line, fields in the recorded case and order, and the empty line."""
        return _head(f"{self.method} {self.target} {self.version}", self.headers)

    def body_pieces(self) -> Iterator[bytes]:
        """The body without any framing, in pieces."""
        if self.fill is not None:
            yield from self.fill.pieces()
        elif self.body:
            yield from _pieces(self.body)

    def wire_body_pieces(self) -> Iterator[bytes]:
        """The body with its framing: chunks in the recorded sizes, or the bare bytes."""
        if self.framing == "chunked":
            yield from _chunked(self.body or b"", self.chunks)
        else:
            yield from self.body_pieces()

    def wire_bytes(self) -> bytes:
        """Head and body in one; not for the very big ones."""
        return self.head_bytes() + b"".join(self.wire_body_pieces())


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """An answer as it came over the wire.

    ``body`` is after de-chunking with the content coding kept. For a truncated one only ``kept_body`` (its
    beginning), ``body_length`` and ``body_sha256`` are known, and ``body`` is None.
    """

    version: str
    status: int
    reason: str
    headers: Headers
    framing: ResponseFraming
    chunks: tuple[int, ...]
    interim: tuple[Interim, ...]
    body_length: int
    body_sha256: str
    body: bytes | None
    kept_body: bytes

    @property
    def truncated(self) -> bool:
        """Whether only the beginning of the body was kept."""
        return self.body is None

    def header(self, name: str) -> str | None:
        """Value of the first field called ``name`` (any case)."""
        return _first(self.headers, name)

    def head_bytes(self) -> bytes:
        """Status line, fields in the recorded case and order, and the empty line."""
        return _head(f"{self.version} {self.status} {self.reason}", self.headers)

    def interim_bytes(self) -> bytes:
        """All 1xx answers, one after another."""
        return b"".join(interim.head_bytes() for interim in self.interim)

    def replay_body(self) -> bytes:
        """The body, or for a truncated one its beginning filled up with ``x`` to the recorded length."""
        if self.body is not None:
            return self.body
        return self.kept_body + b"x" * (self.body_length - len(self.kept_body))

    def wire_body(self) -> bytes:
        """What follows the head on the wire: chunks in the recorded sizes, the bare bytes, or nothing."""
        if self.framing == "chunked":
            return b"".join(_chunked(self.replay_body(), self.chunks))
        return b"" if self.framing == "none" else self.replay_body()

    def wire_bytes(self) -> bytes:
        """Final head and body (no interim answers), ready for a store that replays them."""
        return self.head_bytes() + self.wire_body()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, its answer, and how they came about. ``masked``: the body was altered after recording."""

    id: str
    group: str
    core: bool
    run_order: int
    note: str
    setup: str
    front: str
    connect: str
    tls: bool
    request: RecordedRequest
    response: RecordedResponse
    closed_after: bool
    connection: tuple[str, int] | None
    created_id: str | None
    masked: bool

    def __str__(self) -> str:
        """The id, which is what pytest shows."""
        return self.id


def _head(first_line: str, headers: Headers) -> bytes:
    lines = [first_line, *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _first(headers: Headers, name: str) -> str | None:
    return next((value for field, value in headers if field.lower() == name.lower()), None)


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


def _chunked(body: bytes, sizes: tuple[int, ...]) -> Iterator[bytes]:
    """``body`` as chunks of ``sizes`` (what they leave over goes in pieces of 64 KiB), then the last."""
    start = 0
    for size in (*sizes, *([_PIECE_BYTES] * (max(0, len(body) - sum(sizes)) // _PIECE_BYTES + 1))):
        piece = body[start : start + size]
        start += len(piece)
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
