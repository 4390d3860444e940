"""HTTP/1.1 heads: strict parsing of requests and responses. Pure: standard library only.

Strict means that two parsers in a row cannot disagree (RFC 9112 section 11.2, request smuggling): lines end in
CRLF, no folding, no blank before a colon, no control characters, one Host, Content-Length or Transfer-Encoding but
never both, and the only transfer coding is a single ``chunked``. Names and targets keep the bytes they came with,
because PrestaShop clients depend on the case of field names and stores on the exact target.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from agent.errors import BadRequest, HeadTooLarge, MessageError, StoreBadResponse, TargetTooLong

HEAD_MAX_BYTES: Final = 65_536
REQUEST_LINE_MAX_BYTES: Final = 8_192
_LENGTH_MAX_DIGITS: Final = 18

Field = tuple[bytes, bytes]

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]*+"  # of a value or a reason; said so it is faster than by what it excludes
REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb"{1,32}) ([\x21\x22\x24-\x7e\x80-\xff]+) HTTP/1\.([01])\r\n")
_LINES = rb"(?:" + _TOKEN + rb"++:" + _TEXT + rb"\r\n)*\r\n"
FIELD_LINE: Final = rb"(" + _TOKEN + rb"++):[ \t]*+(" + _TEXT + rb")\r\n"
_FIELD_LINES = re.compile(_LINES)
_FIELD = re.compile(rb"([^:]+):[ \t]*+([^\r]*+)\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: " + _TEXT + rb")?\r\n")
_RESPONSE_HEAD = re.compile(_STATUS_LINE.pattern + _LINES)
_BARE_LF = re.compile(rb"(?:[^\r]|\A)\n")


# The names in a request's head that decide where it ends; the values of Connection that nearly all messages have.
DECISIVE_FIELDS: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection"))
_USUAL_OPTIONS: Final = {
    b"keep-alive": (b"keep-alive",), b"Keep-Alive": (b"keep-alive",), b"close": (b"close",), b"Close": (b"close",),
}  # fmt: skip


class Framing(Enum):
    """How the end of a body is known (RFC 9112 section 6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_EOF = "until-eof"


@dataclass(slots=True)  # not frozen, though nobody changes it: that would triple what it costs to make one
class RequestHead:
    """A well-formed request head. ``fields`` keep order and case; values come without surrounding blanks.

    ``first`` has the value of the first field of each name, in lower case.
    """

    method: bytes
    target: bytes = field(repr=False)  # target and fields hold credentials
    minor: int
    fields: list[Field] = field(repr=False)
    framing: Framing
    length: int
    keep_alive: bool
    first: dict[bytes, bytes] = field(repr=False)

    def get(self, lower_name: bytes) -> bytes | None:
        """Value of the first field of that name (given in lower case), or None."""
        return self.first.get(lower_name)


@dataclass(slots=True)  # as above
class ResponseHead:
    """A well-formed response head. ``raw`` is the head as it came, ending in an empty line; ``lower`` in lower case."""

    raw: bytes
    lower: bytes
    minor: int
    status: int
    framing: Framing
    length: int
    keep_alive: bool
    connection_options: tuple[bytes, ...]


def _length_of(values: list[bytes], answer: type[BadRequest | StoreBadResponse]) -> int:
    if len(values) != 1:
        raise MessageError("More than one Content-Length (RFC 9112 6.3).", answer)
    text = values[0]
    if not text.isdigit() or len(text) > _LENGTH_MAX_DIGITS:
        raise MessageError("Content-Length is not a plain number (RFC 9110 8.6).", answer)
    return int(text)


def _framing_of(
    lengths: list[bytes], codings: list[bytes], minor: int, answer: type[BadRequest | StoreBadResponse]
) -> tuple[Framing, int]:
    # The values may end in no tab: RFC 9110 5.5 allows it, and llhttp then sees no chunked coding.
    if codings:
        if lengths:
            raise MessageError("Content-Length together with Transfer-Encoding (RFC 9112 6.3).", answer)
        if len(codings) != 1 or codings[0].lower() != b"chunked":
            raise MessageError("The only transfer coding understood here is a single chunked.", answer)
        if minor == 0:
            raise MessageError("Transfer-Encoding in an HTTP/1.0 message (RFC 9112 6.1).", answer)
        return Framing.CHUNKED, 0
    if lengths:
        length = _length_of(lengths, answer)
        return (Framing.LENGTH, length) if length else (Framing.NONE, 0)
    return Framing.NONE, 0


def connection_options(value: bytes) -> tuple[bytes, ...]:
    """The options of a ``Connection`` value in lower case (RFC 9110 7.6.1)."""
    return _USUAL_OPTIONS.get(value) or tuple(
        option for part in value.split(b",") if (option := part.strip(b" \t").lower())
    )


def _persistent(minor: int, options: Sequence[bytes]) -> bool:
    if b"close" in options:
        return False
    return minor == 1 or b"keep-alive" in options


def parse_request_head(raw: bytes) -> RequestHead:
    """Parse a request head that ends in an empty line.

    Raises ``MessageError`` (``bad_request``) when it breaks RFC 9112, lacks Host, or has two of them;
    (``target_too_long``) when its first line is over 8 KiB.
    """
    line = REQUEST_LINE.match(raw)
    if raw.find(b"\r\n", 0, REQUEST_LINE_MAX_BYTES + 2) < 0:
        raise MessageError(f"The request line is over {REQUEST_LINE_MAX_BYTES} bytes.", TargetTooLong)
    if line is None:
        raise MessageError("The request line is not METHOD TARGET HTTP/1.x (RFC 9112 3).")
    fields_at = line.end()
    if _FIELD_LINES.fullmatch(raw, fields_at) is None:
        raise MessageError("A header field is not well-formed (RFC 9112 5).")
    method, target, version = line.groups()
    minor = 1 if version == b"1" else 0
    fields = _FIELD.findall(raw, fields_at)
    hosts = 0
    lengths: list[bytes] = []
    codings: list[bytes] = []
    options: list[bytes] = []
    first: dict[bytes, bytes] = {}
    for index, (name, padded) in enumerate(fields):
        value = padded
        if padded.endswith((b" ", b"\t")):
            fields[index] = (name, value := padded.rstrip(b" \t"))
        lower = name.lower()
        first.setdefault(lower, value)
        if lower in DECISIVE_FIELDS:
            if lower == b"host":
                hosts += 1
            elif lower == b"content-length":
                lengths.append(padded.rstrip(b" "))
            elif lower == b"transfer-encoding":
                codings.append(padded.rstrip(b" "))
            else:
                options += connection_options(value)
    if hosts > 1 or (hosts == 0 and minor == 1):
        raise MessageError("A request has exactly one Host field (RFC 9112 3.2).")
    framing, length = Framing.NONE, 0
    if lengths or codings:
        framing, length = _framing_of(lengths, codings, minor, BadRequest)
    return RequestHead(method, target, minor, fields, framing, length, _persistent(minor, options), first)


def parse_response_head(raw: bytes, *, to_head: bool) -> ResponseHead:
    """Parse a response head that ends in an empty line; ``to_head``: it answers a HEAD request.

    Raises ``MessageError`` (``store_bad_response``) when it breaks RFC 9112.
    """
    whole = _RESPONSE_HEAD.fullmatch(raw)
    if whole is None:
        if _STATUS_LINE.match(raw) is None:
            raise MessageError("The status line is not HTTP/1.x NNN reason (RFC 9112 4).", StoreBadResponse)
        raise MessageError("A header field of the answer is not well-formed (RFC 9112 5).", StoreBadResponse)
    version, code = whole.groups()
    minor, status = 1 if version == b"1" else 0, int(code)
    lower = raw.lower()  # none of the values that are read here means something else in lower case
    lengths = _values(lower, b"\r\ncontent-length:")
    codings = _values(lower, b"\r\ntransfer-encoding:")
    options: list[bytes] = []
    for value in _values(lower, b"\r\nconnection:"):
        options += connection_options(value)
    framing, length = _framing_of(lengths, codings, minor, StoreBadResponse)
    if to_head or status < 200 or status in (204, 304):
        framing, length = Framing.NONE, 0  # RFC 9112 6.3, rule 1
    elif not lengths and not codings:
        framing = Framing.UNTIL_EOF
    keep_alive = framing is not Framing.UNTIL_EOF and _persistent(minor, options)
    return ResponseHead(raw, lower, minor, status, framing, length, keep_alive, tuple(options))


def _values(lower: bytes, named: bytes) -> list[bytes]:
    """Of all fields that begin with ``named``: a line break, a name in lower case, a colon."""
    found: list[bytes] = []
    at = lower.find(named)
    while at >= 0:
        start = at + len(named)
        end = lower.find(b"\r", start)
        found.append(lower[start:end].lstrip(b" \t").rstrip(b" "))
        at = lower.find(named, end)
    return found


def _without_empty_lines(data: bytes) -> bytes:
    start = 0
    while data.startswith(b"\r\n", start):
        start += 2
    return data[start:]


class HeadBuffer:
    """Collects bytes until a head is whole, without reading any of them twice.

    ``feed`` returns the head (up to and with its empty line) or None; ``rest`` then holds what came after it. Empty
    lines before a request are passed over (RFC 9112 2.2).
    """

    __slots__ = ("_buffer", "_response", "rest")

    def __init__(self, *, response: bool) -> None:
        self._buffer = bytearray()
        self._response = response
        self.rest = b""

    def __bool__(self) -> bool:
        return bool(self._buffer)

    def take_rest(self) -> bytes:
        """What came after the head, and forget it: a connection outlives its bodies."""
        rest, self.rest = self.rest, b""
        return rest

    def feed(self, data: bytes) -> bytes | None:
        """Add bytes. Raises ``MessageError`` when the head is over 64 KiB or has a bare LF."""
        buffer = self._buffer
        if not buffer:
            if data.startswith(b"\r\n") and not self._response:
                data = _without_empty_lines(data)
            end = data.find(b"\r\n\r\n")
            if 0 <= end < HEAD_MAX_BYTES - 4:
                self.rest = data[end + 4 :]
                return data[: end + 4]
        searched_to = len(buffer)
        buffer += data
        if searched_to == 1 and not self._response and buffer.startswith(b"\r\n"):
            data = _without_empty_lines(bytes(buffer))
            buffer.clear()
            return self.feed(data) if data else None
        end = buffer.find(b"\r\n\r\n", max(0, searched_to - 3))
        if end >= 0 and end + 4 <= HEAD_MAX_BYTES:
            head, self.rest = bytes(buffer[: end + 4]), bytes(buffer[end + 4 :])
            buffer.clear()
            return head
        self._refuse_early(searched_to, over=end >= 0)
        return None

    def _refuse_early(self, searched_to: int, *, over: bool) -> None:
        """Say no before the end of the head where it can no longer become good."""
        buffer = self._buffer
        if over or len(buffer) > HEAD_MAX_BYTES:
            if not self._response and buffer.find(b"\r\n", 0, REQUEST_LINE_MAX_BYTES + 2) < 0:
                raise MessageError(f"The request line is over {REQUEST_LINE_MAX_BYTES} bytes.", TargetTooLong)
            answer = StoreBadResponse if self._response else HeadTooLarge
            raise MessageError(f"The head is over {HEAD_MAX_BYTES} bytes.", answer)
        if _BARE_LF.search(buffer, max(0, searched_to - 1)) is not None:
            raise MessageError("A line ends in a bare LF (RFC 9112 2.2).", StoreBadResponse if self._response else None)
        if (
            not self._response
            and len(buffer) > REQUEST_LINE_MAX_BYTES
            and buffer.find(b"\r\n", 0, REQUEST_LINE_MAX_BYTES + 2) < 0
        ):
            raise MessageError(f"The request line is over {REQUEST_LINE_MAX_BYTES} bytes.", TargetTooLong)
