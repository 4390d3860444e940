"""One exchange on the store's side: judged, rebuilt, sent, answered.

It relies on nothing that the gateway did. A byte reaches a store only after ``judge`` allowed exactly the target
that is sent; no request goes twice, but for a read without a body whose kept connection was closed before any answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.body import tracker_for
from agent.errors import BadRequest, ClientTimeout, ExchangeError, MessageError, StoreBadResponse, StoreTimeout
from agent.forward.admission import admit
from agent.forward.context import ExchangeRecord
from agent.forward.gate import StoreLimited, StorePaused
from agent.forward.origin import OriginConnection
from agent.forward.target import StoreTarget
from agent.http1 import Framing, RequestHead, ResponseHead
from agent.pause import Pause
from agent.redact import loggable_target
from agent.response_reader import ResponseReader
from agent.rewrite import forwarded_fields, request_head, response_from_store, wants_json
from agent.store_url import Store
from agent.trace_context import trace_id

if TYPE_CHECKING:
    from agent.forward.session import ForwardSession

_SAFE = ("GET", "HEAD")


class ForwardExchange:
    """One request and its response; the user of one store connection (an ``OriginUser``)."""

    __slots__ = (
        "_began_at", "_body", "_bytes_from_store", "_bytes_to_store", "_dial", "_head", "_method",
        "_origin", "_pending", "_reader", "_recorded", "_replayable", "_sent_head", "_session", "_target",
    )  # a list to be scanned  # fmt: skip

    def __init__(self, session: ForwardSession, head: RequestHead) -> None:
        self._session = session
        self._head = head
        self._method = head.method.decode("ascii")  # the effective one, once it has been judged
        self._body = tracker_for(head.framing, head.length)
        self._reader = self._new_reader()
        self._target: StoreTarget | None = None
        self._origin: OriginConnection | None = None
        self._dial: asyncio.Task[None] | None = None
        self._pending: list[bytes] = []
        self._sent_head = b""
        self._replayable = self._recorded = False
        self._began_at = session.loop.time()
        self._bytes_to_store = self._bytes_from_store = 0
        session.context.began(self)

    def __repr__(self) -> str:
        return f"<ForwardExchange {self._method} {self._origin or ('dialing' if self._dial else 'ended')}>"

    # -- the request ---------------------------------------------------------------------------------------------

    def begin(self, rest: bytes) -> None:
        """Judge the head and find the way to its store; ``rest`` is what came behind the head."""
        head = self._head
        self._target, path = self._session.context.table.find(head.target)
        try:
            target, self._method = admit(self._target, head, path)
        except ExchangeError as error:
            self._fail(error)
            return
        if rest and self._body.done:
            self._fail(BadRequest("Bytes follow a request that has no body."), close=True)
            return
        self._replayable = self._method in _SAFE and self._body.done
        self._sent_head = request_head(head, path, target.host, forwarded_fields(head, extra=target.extra_fields))
        if rest:
            self._pending.append(rest)
        origin = target.pool.take_idle(self._session.loop.time(), for_write=not self._replayable)
        if origin is None:
            self._dial_origin(target)
        else:
            self._send(origin)

    def body_data(self, data: bytes) -> None:
        """Bytes of the request body, or bytes that nobody may send now."""
        origin = self._origin
        if origin is None:
            # Still dialing; the window bounds what can come in after this.
            self._pending.append(data)
            self._session.channel.pause_reading()
            return
        body = self._body
        try:
            if self._body.done or body.feed(data) != len(data):
                raise MessageError("Bytes follow the end of the request.")
        except MessageError as error:
            # What was sent so far has no end that the store would accept: it is cut off with its connection.
            self._let_go()
            self._fail(BadRequest(error.detail), close=True)
            return
        origin.write(data)
        self._bytes_to_store += len(data)
        timeouts = self._session.context.timeouts
        self._session.deadline.set(timeouts.first_byte_s if body.done else timeouts.stall_s)

    def _dial_origin(self, target: StoreTarget) -> None:
        self._session.deadline.clear()  # the dialer has limits of its own
        self._dial = self._session.context.spawn(self._dialed(target), "forward.dial")

    async def _dialed(self, target: StoreTarget) -> None:
        try:
            origin = await target.pool.dial()
        except ExchangeError as error:
            self._dial = None
            self._fail(error)
            return
        self._dial = None
        self._send(origin)

    def _send(self, origin: OriginConnection) -> None:
        session = self._session
        self._origin = origin
        origin.user = self
        origin.write(self._sent_head)
        self._bytes_to_store += len(self._sent_head)
        if session.channel_full:
            origin.pause_reading()
        session.deadline.set(session.context.timeouts.first_byte_s)
        if self._pending:
            pending, self._pending = self._pending, []
            for data in pending:
                if self._origin is origin:  # a broken body ends the exchange in the middle of this loop
                    self.body_data(data)
            # Last: an SSH channel delivers what it held back within this call, and that comes after what was pending.
            if self._origin is origin and not origin.full:
                session.channel.resume_reading()

    # -- the store says ------------------------------------------------------------------------------------------

    def origin_data(self, data: bytes) -> None:
        """Bytes of the answer: checked, rewritten, passed on."""
        try:
            passed = self._reader.feed(data)
        except MessageError as error:
            self._let_go()
            self._fail(StoreBadResponse(error.detail, outcome_unknown=self._method not in _SAFE))
            return
        if passed:
            self._bytes_from_store += len(passed)
            self._session.send(passed)
        if self._recorded:
            return  # the channel is gone
        if self._reader.done:
            self._answered()
        else:
            self._session.deadline.set(self._session.context.timeouts.stall_s)

    def origin_eof(self) -> None:
        """The store closes: the end of an answer without a length, or the loss of one that had more to come."""
        if self._reader.eof():
            self._answered()
        else:
            self.origin_lost(None)

    def origin_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - part of the protocol
        """The connection to the store is gone in the middle of the exchange."""
        origin = self._origin
        reused = origin is not None and origin.uses > 1
        self._let_go()
        if self._reader.head is None and self._replayable and reused and self._target is not None:
            # A kept connection that the store had closed already: a read may go again, once, on a fresh one.
            self._replayable = False
            self._reader = self._new_reader()
            self._dial_origin(self._target)
            return
        self._fail(
            StoreBadResponse(
                "The store closed the connection before it answered.",
                proxy_error="connection_terminated",
                outcome_unknown=self._method not in _SAFE,
            )
        )

    def origin_pause_writing(self) -> None:
        """The store reads slower than the body comes."""
        self._session.channel.pause_reading()

    def origin_resume_writing(self) -> None:
        """The store reads on."""
        self._session.channel.resume_reading()
        self._session.deadline.set(self._session.context.timeouts.stall_s)

    # -- the session says ----------------------------------------------------------------------------------------

    def hold_store(self) -> None:
        """The channel is full: the answer waits in the store's socket."""
        if self._origin is not None:
            self._origin.pause_reading()

    def release_store(self) -> None:
        """The channel has room."""
        if self._origin is not None:
            self._origin.resume_reading()
            self._session.deadline.set(self._session.context.timeouts.stall_s)

    def expired(self) -> None:
        """Nothing moved for as long as the limits allow: whose turn was it?"""
        if self._origin is None:
            return
        store_is_full = self._origin.full
        self._let_go()
        outcome_unknown = self._method not in _SAFE
        if self._session.channel_full:
            self._session.cut("client_timeout")
        elif self._body.done or store_is_full:
            self._fail(StoreTimeout(outcome_unknown=outcome_unknown))
        else:
            self._fail(ClientTimeout("The request body stopped coming.", outcome_unknown=outcome_unknown), close=True)

    def abandon(self, reason: str) -> None:
        """The channel is gone, or is to go: leave the store as well."""
        self._let_go()
        self._record(0, reason)

    def stop(self, pause_of: Callable[[Store], Pause | None]) -> None:
        """Stop it when its store is paused: by an answer where none has begun, else by a cut."""
        pause = pause_of(self._target.rule.store) if self._target is not None else None
        if pause is not None:
            is_write = self._method not in _SAFE and self._bytes_to_store > 0
            self._let_go()
            self._fail(StorePaused(pause.sentence, outcome_unknown=is_write), close=True)

    # -- ends ----------------------------------------------------------------------------------------------------

    def _answered(self) -> None:
        """The answer is whole; a connection is kept only when there is no doubt about it."""
        head, origin, target = self._reader.head, self._origin, self._target
        assert head is not None and target is not None  # noqa: S101 - a whole answer has both
        self._origin = None
        if origin is not None:
            if head.keep_alive and self._body.done and not self._reader.surplus:
                target.pool.give_back(origin, self._session.loop.time())
            else:
                origin.abort()
        self._record(head.status, "")
        # The gateway is still sending the rest of a request that was answered early: that ends the channel, too.
        self._session.over(close=head.framing is Framing.UNTIL_EOF or not self._body.done)

    def _fail(self, error: ExchangeError, *, close: bool = False) -> None:
        """An error answer, or a cut when the store's head has already gone out."""
        if self._recorded:
            return
        head = self._reader.head
        if head is not None:
            self._record(head.status, error.name)
            self._session.cut(error.name)
            return
        self._record(error.status, error.name, summed_up=isinstance(error, StoreLimited))
        self._session.answer(
            error,
            as_json=wants_json(self._head.fields, self._head.target),
            to_head=self._head.method == b"HEAD",
            close=close or not self._body.done,
            request_id=self._head.get(b"x-request-id") or b"",
        )

    def _let_go(self) -> None:
        origin, self._origin = self._origin, None
        if origin is not None:
            origin.abort()
        if self._dial is not None:
            self._dial.cancel()
            self._dial = None

    def _new_reader(self) -> ResponseReader:
        return ResponseReader(self._rewrite, to_head=self._head.method == b"HEAD", rewrite_interim=response_from_store)

    def _rewrite(self, head: ResponseHead) -> bytes:
        return response_from_store(head, last=not self._body.done)  # an early answer may end the channel

    def _record(self, status: int, error: str, *, summed_up: bool = False) -> None:
        if self._recorded:
            return
        self._recorded = True
        head = self._head
        record = ExchangeRecord(
            head.first.get(b"x-request-id", b"").decode("ascii", "replace")[:64],
            self._target.name if self._target is not None else "",
            self._method,
            loggable_target(head.target),
            status,
            error,
            self._session.loop.time() - self._began_at,
            self._bytes_to_store,
            self._bytes_from_store,
            trace_id(head.fields) if b"traceparent" in head.first else "",
            summed_up,
        )
        self._session.context.ended(self, record)
