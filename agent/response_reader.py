"""Reads one answer as it streams by: heads are judged and rewritten, body bytes pass untouched. Pure.

The same reader stands on both ends of the tunnel; what differs is the function that rewrites the final head.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.body import BodyTracker, ChunkedBody, EofBody, tracker_for
from agent.errors import MessageError, StoreBadResponse
from agent.http1 import Framing, HeadBuffer, ResponseHead, parse_response_head

INTERIM_MAX: Final = 8


class ResponseReader:
    """One answer to one request.

    ``feed`` returns the bytes to pass on. ``head`` is the final head once it is there, ``done`` turns True with the
    last byte of the answer, ``surplus`` says that bytes followed which nobody asked for.
    """

    __slots__ = (
        "_body",
        "_buffer",
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
        self._payload: list[bytes] | None = [] if dechunk else None
        self._buffer = HeadBuffer(response=True)
        self._body: BodyTracker | None = None
        self._interim = 0
        self.head: ResponseHead | None = None
        self.done = False
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        """Follow the next bytes. Raises ``MessageError`` (``store_bad_response``) as soon as they are not HTTP/1.1."""
        if self._body is not None:
            return self._follow(data)
        passed = b""
        while True:
            raw = self._buffer.feed(data)
            if raw is None:
                return passed
            head = parse_response_head(raw, to_head=self._to_head)
            rest = self._buffer.rest
            if head.status >= 200:
                break
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
        self.head = head
        if self._payload is not None and head.framing is Framing.CHUNKED:
            self._body = ChunkedBody(StoreBadResponse, self._payload)
        else:
            self._payload = None
            self._body = tracker_for(head.framing, head.length, StoreBadResponse)
        passed += self._rewrite(head)
        # There is only one final head, and whose method it is holds this reader: no work for the garbage collector.
        del self._rewrite, self._rewrite_interim
        self.done = self._body.done
        if self.done:
            self.surplus = bool(rest)
            return passed
        return passed + self._follow(rest) if rest else passed

    def eof(self) -> bool:
        """The other side writes no more: True when the answer is whole by that."""
        if isinstance(self._body, EofBody):
            self.done = True
        return self.done

    def _follow(self, data: bytes) -> bytes:
        body = self._body
        if body is None or self.done:
            self.surplus = True
            return b""
        end = body.feed(data)
        if body.done:
            self.done = True
            if end != len(data):
                self.surplus = True
                data = data[:end]
        if self._payload is not None:
            data = b"".join(self._payload)
            self._payload.clear()
        return data
