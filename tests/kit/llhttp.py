"""A second opinion on HTTP/1.1: what llhttp, the parser of Node.js, makes of a message. By httptools."""

from __future__ import annotations

from dataclasses import dataclass, field

import httptools


@dataclass
class Reading:
    """One message as llhttp read it; ``complete`` once its last byte has come."""

    target: bytes = b""
    method: bytes = b""
    status: int = 0
    minor: int = 1
    keep_alive: bool = False
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    head_complete: bool = False
    complete: bool = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.head_complete = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def read_request(raw: bytes) -> Reading | None:
    """What llhttp reads; None when it refuses."""
    reading = Reading()
    parser = httptools.HttpRequestParser(reading)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        reading.complete = True
    except httptools.HttpParserError:
        return None
    if reading.head_complete:
        reading.method = parser.get_method()
        reading.minor = int(parser.get_http_version()[-1])
        reading.keep_alive = parser.should_keep_alive()
    return reading


def read_response(raw: bytes) -> Reading | None:
    """What llhttp reads; None when it refuses."""
    reading = Reading()
    parser = httptools.HttpResponseParser(reading)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        reading.complete = True
    except httptools.HttpParserError:
        return None
    if reading.head_complete:
        reading.status = parser.get_status_code()
        reading.minor = int(parser.get_http_version()[-1])
        reading.keep_alive = parser.should_keep_alive()
    return reading
