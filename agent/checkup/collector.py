"""Keeps the answer to one request of a check, and knows when it is whole."""

from __future__ import annotations

import asyncio

from agent.errors import MessageError
from agent.response_reader import ResponseReader


class AnswerCollector(asyncio.Protocol):
    """Keeps the bytes of an answer up to a limit.

    ``over`` is set when the answer is whole, is not HTTP, reaches the limit, or the other side ends it; ``is_cut``
    tells that it ended before the answer was whole, ``is_reset`` that it was not even closed in order.
    """

    LIMIT_BYTES = 512 * 1024

    def __init__(self) -> None:
        self.raw = bytearray()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_cut = False
        self.is_reset = False
        self._reader: ResponseReader | None = None

    def expect(self, *, to_head: bool) -> None:
        """A request is sent now: its answer may be whole long before the other side closes, if it ever does."""
        self._reader = ResponseReader(lambda _head: b"", to_head=to_head)
        if self.raw:
            self._follow(bytes(self.raw))

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer."""
        if self.over.done():
            return
        self.raw += data
        self._follow(data)
        if len(self.raw) >= self.LIMIT_BYTES:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side has ended it."""
        whole = self._reader is not None and exc is None and self._reader.eof()
        if not self.over.done():
            self.is_cut = not whole
            self.is_reset = exc is not None
            self._end()

    def _follow(self, data: bytes) -> None:
        if self._reader is None:
            return
        try:
            self._reader.feed(data)
        except MessageError:  # whoever reads the bytes will say what is wrong with them
            self._end()
        else:
            if self._reader.done:
                self._end()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)
