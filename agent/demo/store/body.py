"""Takes the body of a request out of the bytes as they come, in chunks or by its length. Pure."""

from __future__ import annotations

import re

_SIZE_LINE_MAX = 1024
_SIZE = re.compile(rb"^([0-9A-Fa-f]{1,15})[ \t]*(;.*)?$")


class BrokenBody(Exception):
    """The chunks are not chunks."""


class BodyReader:
    """One body. What exceeds ``kept_max_bytes`` is read and dropped, and so is all before: PHP sees nothing then."""

    def __init__(self, length: int | None, kept_max_bytes: int) -> None:
        self._chunked = length is None
        self._left = 0 if length is None else length
        self._pieces: list[bytes] = []
        self._size = 0
        self._kept_max_bytes = kept_max_bytes
        self._between = False
        self._trailer = False

    def content(self) -> bytes:
        """The body without its framing, empty when it was too big."""
        return b"".join(self._pieces)

    def feed(self, buffer: bytearray) -> bool:
        """Take what belongs to the body from the start of ``buffer``; True when the body is complete."""
        if not self._chunked:
            self._take(buffer)
            return self._left == 0
        while True:
            if self._left:
                self._take(buffer)
                if self._left:
                    return False
                self._between = True
            line = self._line(buffer)
            if line is None:
                return False
            if self._between:
                if line:
                    raise BrokenBody
                self._between = False
            elif self._trailer:
                if not line:
                    return True
            else:
                match = _SIZE.match(line)
                if match is None:
                    raise BrokenBody
                self._left = int(match[1], 16)
                self._trailer = self._left == 0

    def _line(self, buffer: bytearray) -> bytes | None:
        end = buffer.find(b"\r\n")
        if end < 0:
            if len(buffer) > _SIZE_LINE_MAX:
                raise BrokenBody
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        return line

    def _take(self, buffer: bytearray) -> None:
        count = min(self._left, len(buffer))
        if count == 0:
            return
        self._left -= count
        self._size += count
        if self._size > self._kept_max_bytes:
            self._pieces.clear()
        else:
            self._pieces.append(bytes(buffer[:count]))
        del buffer[:count]
