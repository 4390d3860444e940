"""Reads one answer as it streams by: heads are judged and rewritten, body bytes pass untouched. Pure.

The same reader stands on both ends of the tunnel; what differs is the function that rewrites the final head.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.body import BodyTracker, ChunkedBody, EofBody, tracker_for
from agent.errors import MessageError, StoreBadResponse
from agent.http1 import HEAD_MAX_BYTES, Framing, HeadBuffer, ResponseHead, parse_response_head

INTERIM_MAX: Final = 8
_VIEW_MIN_BYTES: Final = 4096  # below, a copy costs less than a view


class ResponseReader:
    """One answer to one request.

    ``feed`` returns the bytes to pass on. ``head`` is the final head once it is there, ``done`` turns True with the
    last byte of the answer, ``surplus`` says that bytes followed which nobody asked for.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_dechunk",
        "_interim",
        "_payload",
        "_rewrite",
        "_rewrite_interim",
        "_to_head",
        "done",
        "head",
        "surplus",
    )

    def __init__(
        self,
        rewrite: Callable[[ResponseHead], bytes],
        *,
        to_head: bool,
        rewrite_interim: Callable[[ResponseHead], bytes] | None = None,
        dechunk: bool = False,
    ) -> None:
        self._rewrite = rewrite
        self._rewrite_interim = rewrite_interim
        self._to_head = to_head
        self._dechunk = dechunk
        self._payload: list[bytes] | None = None
        self._buffer: HeadBuffer | None = None
        self._body: BodyTracker | None = None
        self._interim = 0
        self.head: ResponseHead | None = None
        self.done = False
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        """Follow the next bytes. Raises ``MessageError`` (``store_bad_response``) as soon as they are not HTTP/1.1."""
        if self.head is not None:
            return self._follow(data, 0, b"")
        if self._buffer is None:  # nearly all heads come whole, and without an interim answer before them
            behind = data.find(b"\r\n\r\n") + 4
            if 4 <= behind <= HEAD_MAX_BYTES:
                head = parse_response_head(data[:behind], to_head=self._to_head)
                if head.status >= 200:
                    return self._final(head, data, behind, b"")
            self._buffer = HeadBuffer(response=True)
        passed = b""
        while True:
            raw = self._buffer.feed(data)
            if raw is None:
                return passed
            head = parse_response_head(raw, to_head=self._to_head)
            rest = self._buffer.take_rest()
            if head.status >= 200:
                return self._final(head, rest, 0, passed)
            self._interim += 1
            if head.status == 101:
                raise MessageError("The store switched protocols, which nobody asked for.", StoreBadResponse)
            if self._interim > INTERIM_MAX:
                raise MessageError(f"More than {INTERIM_MAX} interim answers.", StoreBadResponse)
            if self._rewrite_interim is not None:
                passed += self._rewrite_interim(head)
            if not rest:
                return passed
            data = rest

    def eof(self) -> bool:
        """The other side writes no more: True when the answer is whole by that."""
        if isinstance(self._body, EofBody):
            self.done = True
        return self.done

    def _final(self, head: ResponseHead, data: bytes, behind: int, passed: bytes) -> bytes:
        self.head = head
        if self._dechunk and head.framing is Framing.CHUNKED:
            self._payload = []
            self._body = ChunkedBody(StoreBadResponse, self._payload)
        else:
            self._body = tracker_for(head.framing, head.length, StoreBadResponse)
        rewritten = self._rewrite(head)
        passed = passed + rewritten if passed else rewritten
        # There is only one final head, and whose method it is holds this reader: no work for the garbage collector.
        del self._rewrite, self._rewrite_interim
        self.done = self._body.done
        return self._follow(data, behind, passed) if behind < len(data) else passed

    def _follow(self, data: bytes, start: int, passed: bytes) -> bytes:
        """``passed``, and what of ``data`` from ``start`` on belongs to the answer; copied once, or not at all."""
        body = self._body
        if body is None or self.done:
            self.surplus = True
            return passed
        end = body.feed(data, start)
        if body.done:
            self.done = True
            self.surplus = end != len(data)
        if self._payload is not None:
            payload = b"".join((passed, *self._payload))
            self._payload.clear()  # the tracker goes on filling it
            return payload
        if start == 0 and end == len(data) and not passed:
            return data
        if end - start > _VIEW_MIN_BYTES:
            return b"".join((passed, memoryview(data)[start:end]))
        return passed + data[start:end]
