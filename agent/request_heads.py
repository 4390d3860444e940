"""Request heads that come one after another over one connection: what they have in common is read once. Pure.

A client sends the same field lines with each request, and an agent is sent the same but for the request id, which the
gateway writes last. Reading them again would be the most that such a request costs.
"""

from __future__ import annotations

import re
from typing import Final

from agent.http1 import (
    DECISIVE_FIELDS,
    FIELD_LINE,
    REQUEST_LINE,
    REQUEST_LINE_MAX_BYTES,
    HeadBuffer,
    RequestHead,
    parse_request_head,
)

REMEMBERED_MAX_BYTES: Final = 4096
REMEMBERED_MAX_FIELDS: Final = 32
"""A larger head is read anew each time, so that an idle connection holds little: a field of two bytes takes 150."""

_LAST_LINE: Final = re.compile(FIELD_LINE + rb"\r\n")


class RequestHeads:
    """Collects bytes until a head is whole, and parses it as ``parse_request_head`` does; true while it has a part.

    Heads with equal field lines share one list ``fields`` and one dictionary ``first``: nobody may change them.
    """

    __slots__ = ("_buffer", "_head", "_last_line", "_last_name", "_lines", "_version")

    def __init__(self) -> None:
        self._buffer = HeadBuffer(response=False)
        self._head: RequestHead | None = None
        self._lines = b""  # all field lines but the last
        self._last_line = b""  # with the empty line behind it
        self._last_name = b""  # "" where its value decides more than itself
        self._version = b""

    def __repr__(self) -> str:
        return f"<RequestHeads {'remembers' if self._head is not None else 'empty'}>"

    def __bool__(self) -> bool:
        return bool(self._buffer)

    def feed(self, data: bytes) -> RequestHead | None:
        """Add bytes; None as long as the head is not whole. Raises ``MessageError`` for what is no head."""
        raw = self._buffer.feed(data)
        return self._parse(raw) if raw is not None else None

    def take_rest(self) -> bytes:
        """What came after the head, and forget it."""
        return self._buffer.take_rest()

    def _parse(self, raw: bytes) -> RequestHead:
        before = self._head
        is_large = len(raw) > REMEMBERED_MAX_BYTES
        line = REQUEST_LINE.match(raw) if before is not None and not is_large else None
        if line is not None and before is not None:
            at = line.end()
            method, target, version = line.groups()
            if version == self._version and raw.startswith(self._lines, at) and at <= REQUEST_LINE_MAX_BYTES + 2:
                at += len(self._lines)
                fields, first = before.fields, before.first
                is_same = raw.endswith(self._last_line) and at + len(self._last_line) == len(raw)
                if not is_same and (last := _LAST_LINE.fullmatch(raw, at)) is not None and last[1] == self._last_name:
                    field = (last[1], last[2].rstrip(b" \t"))
                    fields, first = [*fields[:-1], field], {**first, field[0].lower(): field[1]}
                    is_same = True
                if is_same:
                    return RequestHead(
                        method, target, before.minor, fields, before.framing, before.length, before.keep_alive, first
                    )
        head = parse_request_head(raw)
        self._remember(head, raw)
        return head

    def _remember(self, head: RequestHead, raw: bytes) -> None:
        if not 0 < len(head.fields) <= REMEMBERED_MAX_FIELDS or len(raw) > REMEMBERED_MAX_BYTES:
            self._head = None
            return
        lines_at = raw.find(b"\r\n") + 2
        last_at = raw.rfind(b"\r\n", 0, -4) + 2
        name = head.fields[-1][0]
        is_alone = sum(each.lower() == name.lower() for each, _ in head.fields) == 1
        self._head = head
        self._version = raw[lines_at - 3 : lines_at - 2]
        self._lines, self._last_line = raw[lines_at:last_at], raw[last_at:]
        self._last_name = name if is_alone and name.lower() not in DECISIVE_FIELDS else b""
