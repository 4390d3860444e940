"""The head of a request, read as Apache reads it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE_MAX = 8190
"""LimitRequestLine and LimitRequestFieldSize of a stock Apache."""
FIELDS_MAX = 100
_REQUEST_LINE = re.compile(rb"^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f]+) (HTTP/1\.[01])$")
_FIELD_NAME = re.compile(rb"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")


class BadHead(Exception):
    """The head is refused with ``status``; ``detail`` goes into the page."""

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(slots=True)
class RequestHead:
    """Request line and fields. ``raw`` is the whole head with its empty line."""

    method: str
    target: str
    version: str
    fields: list[tuple[str, str]]
    raw: bytes

    def field(self, name: str) -> str | None:
        """The value of a field; several of one name are joined, as Apache does for CGI."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def wants_close(self) -> bool:
        """Whether the client ends the connection after this answer."""
        return "close" in (self.field("Connection") or "").lower()

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks; with a Content-Length besides, Apache takes the chunks."""
        return (self.field("Transfer-Encoding") or "").lower().endswith("chunked")

    @property
    def length(self) -> int:
        """The announced length of the body in bytes. Raises BadHead 400 when it is none."""
        text = self.field("Content-Length")
        if text is None:
            return 0
        if not text.isdecimal():
            raise BadHead(400)
        return int(text)


def parse_head(raw: bytes) -> RequestHead:
    """Parse a head that ends with an empty line. Raises BadHead 400, 414 or 417."""
    lines = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if len(lines[0]) > LINE_MAX:
        raise BadHead(414)
    match = _REQUEST_LINE.match(lines[0])
    if match is None:
        raise BadHead(400)
    method, target, version = (part.decode("latin-1") for part in match.groups())
    if len(lines) > FIELDS_MAX + 1:
        raise BadHead(400, "The number of request header fields exceeds this server's limit.")
    fields = [_field(line) for line in lines[1:]]
    head = RequestHead(method, target, version, fields, raw)
    hosts = [value for name, value in fields if name.lower() == "host"]
    if len(hosts) > 1 or (not hosts and version == "HTTP/1.1"):
        raise BadHead(400)
    expected = head.field("Expect")
    if expected is not None and expected.lower() != "100-continue":
        raise BadHead(417, expected)
    if head.length < 0:
        raise BadHead(400)
    return head


def _field(line: bytes) -> tuple[str, str]:
    if len(line) > LINE_MAX:
        raise BadHead(400, "Size of a request header field exceeds server limit.")
    name, colon, value = line.partition(b":")
    if not colon or not _FIELD_NAME.match(name) or b"\0" in value or b"\r" in value or b"\n" in value:
        raise BadHead(400)
    return name.decode("latin-1"), value.strip(b" \t").decode("latin-1")
