"""One client's connection to the gateway: heads in, answers out, one exchange at a time.

The hot path: driven by callbacks, no task per request. Reading goes on while an answer is awaited, within a bound, so
that a client that leaves is noticed at once and its exchange given up.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast

from agent.body import BodyTracker, NoBody, tracker_for
from agent.errors import BodyTooLarge, ClientTimeout, ExchangeError, MessageError
from agent.forward.deadline import Deadline
from agent.http1 import RequestHead
from agent.request_heads import RequestHeads
from agent.server.ahead import Ahead
from agent.server.exchange import Exchange
from agent.server.gateway_context import GatewayContext
from agent.server.order import KnownFields, Order, take_order
from agent.server.refusal import Refusal
from agent.server.reset import end_now, half_close, reset

_LINGER_S: Final = 2.0
_FIRST_REQUEST_S: Final = 1.0  # a server that leaves waits no longer for the request of a new connection


class ClientConnection(asyncio.Protocol):
    """A client's connection (an ``ExchangeClient``)."""

    def __init__(self, context: GatewayContext, gone: set[ClientConnection]) -> None:
        self._context = context
        self._open = gone
        self._transport: asyncio.Transport
        self._heads = RequestHeads()
        self._known = KnownFields()
        self._deadline = Deadline(context.loop, self._expired)
        self._ahead = Ahead()
        self._unsent_bytes = 0
        self._full = self._closing = False
        self._exchange: Exchange | None = None
        self._order: Order | None = None
        self._kept = False  # since before this server began to leave
        self._body: BodyTracker = NoBody()
        self._body_bytes = 0
        self._held = True
        self.body_done = True

    def __repr__(self) -> str:
        return f"<ClientConnection {self._exchange or ('closing' if self._closing else 'idle')}>"

    # -- the socket says -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes of a head, of a body, or ahead of their time."""
        if self._closing:
            return
        # While the answers to earlier requests are not taken there are no further ones, nor refusals.
        if self._ahead or (self._full if self._exchange is None else self._held or self.body_done):
            self._ahead.add(data)
            if self._ahead.is_much:
                self._transport.pause_reading()
        elif self._exchange is None:
            self._head_data(data)
        else:
            self._body_data(data)

    def eof_received(self) -> bool:
        """The client has left; a half-close cannot be told from that (and no PrestaShop client makes one)."""
        if self._exchange is not None:
            self.abort()
        elif not self._closing:  # a second close() would blind asyncio's TLS transport for abort()
            self._close()
        return False  # close when all is sent

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The connection is gone."""
        self._closing = True
        self._open.discard(self)
        self._context.client_left()
        self._deadline.close()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()

    def pause_writing(self) -> None:
        """The client reads slower than the answer comes."""
        self._full = True
        self._unsent_bytes = self._transport.get_write_buffer_size()
        if self._exchange is not None:
            self._exchange.hold_answer()
        self._deadline.set(self._context.limits.client_stall_s)

    def resume_writing(self) -> None:
        """The client reads on."""
        self._full = False
        self._watch()
        if self._exchange is not None:
            self._exchange.release_answer()
        else:
            self._next()

    # -- requests ------------------------------------------------------------------------------------------------

    def _head_data(self, data: bytes) -> None:
        fresh = not self._heads
        try:
            head = self._heads.feed(data)
            if head is None:
                if fresh:
                    self._watch()  # only once per head: the limit is for the whole of it
                return
            order = take_order(head, self._context.table, time.time(), self._known)
            self._take(order, head, self._heads.take_rest())
        except MessageError as error:
            self._refuse_and_close(error.answer(error.detail))

    def _take(self, order: Order, head: RequestHead, rest: bytes) -> None:
        limit = self._context.limits.body_max_bytes
        self._order = order
        self._body = tracker_for(head.framing, head.length)
        self._body_bytes = 0
        self.body_done = self._body.done
        self._held = True
        if rest:
            self._ahead.put_back(rest)
        error = order.error
        if error is None and limit is not None and head.length > limit:
            error = BodyTooLarge(f"The limit is {limit} bytes.")
        if error is not None:
            self.refuse(error)
            return
        assert order.route is not None  # noqa: S101 - an order without an error has one
        exchange = self._exchange = Exchange(self._context, self, order, order.route)
        self._watch()
        exchange.begin()

    def _body_data(self, data: bytes) -> None:
        exchange, limit = self._exchange, self._context.limits.body_max_bytes
        if exchange is None:
            return
        try:
            end = self._body.feed(data)
            self._body_bytes += end
            if limit is not None and self._body_bytes > limit:
                raise MessageError(f"The limit is {limit} bytes.", BodyTooLarge)
        except MessageError as error:
            exchange.fail(error.answer(error.detail))
            return
        self.body_done = self._body.done
        self._watch()
        if self.body_done and end != len(data):
            self._ahead.put_back(data[end:])
            data = data[:end]
        exchange.body(data)

    # -- the exchange says ---------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Bytes of the answer; dropped when the client has just gone, which ``connection_lost`` will tell."""
        if not self._transport.is_closing():  # asyncio would log a warning for each further write
            self._transport.write(data)

    def want_body(self) -> None:
        """The body may come: first what is here already."""
        if not self._held:
            return
        self._held = False
        while self._ahead and not (self._held or self.body_done or self._closing):
            self._body_data(self._ahead.take_piece())
        if not self._held and not self._closing:
            self._watch()
            self._resume()

    def hold_body(self) -> None:
        """The tunnel or the store is full: the body waits in the client's socket."""
        if not self.body_done:
            self._held = True
            self._watch()
            self._transport.pause_reading()

    def answered(self, *, close: bool) -> None:
        """The answer is whole."""
        self._exchange = None
        if close:
            self._close()
        else:  # also of a server that leaves: the head said "kept", so that a next request may be on its way
            self._next()

    def refuse(self, error: ExchangeError) -> None:
        """Answer with an error of ours."""
        refusal = Refusal(error, self._order)
        if self._exchange is None:
            self._context.note(refusal.record)  # what did not become an exchange is in no other record
        self._exchange = None
        # A body that nobody read cannot be told from a next request.
        close = not self.body_done or self._order is None or self._order.is_last or self._context.leaving
        self._transport.write(refusal.answer(close=close))
        self.answered(close=close)

    def cut(self) -> None:
        """End by RST: a clean close would make a truncated answer look whole."""
        self._exchange = None
        self._closing = True
        self._ahead.clear()
        reset(self._transport)

    # -- ends ----------------------------------------------------------------------------------------------------

    def take_leave(self) -> None:
        """No new connections come any more: this one goes, unless a request has begun or is just awaited."""
        if self._exchange is None and not (self._closing or self._heads or self._ahead):
            (self._close if self._kept else self._watch)()

    def abort(self) -> None:
        """End now, and by RST where an answer would be cut short by it."""
        if self._exchange is not None:
            self._exchange.abandon()
        self._closing = True
        end_now(self._transport, whole=self._exchange is None)

    def _next(self) -> None:
        """Wait for the next request, or take one that is here already."""
        self._order = None
        self._kept = not self._context.leaving
        self._watch()
        self._resume()
        if self._ahead and not self._full:
            self._context.loop.call_soon(self._pipelined)

    def _pipelined(self) -> None:
        if self._exchange is None and self._ahead and not (self._closing or self._full):
            self._head_data(self._ahead.take_head())
            self._resume()

    def _refuse_and_close(self, error: ExchangeError) -> None:
        """What is not HTTP has no next request, and no end that could be waited for."""
        self._order = None
        self.body_done = False
        self.refuse(error)

    def _close(self) -> None:
        """Close; what the client still sends is read and dropped, for it would become a RST that eats the answer."""
        heard = self.body_done and not self._ahead
        self._closing = True
        self._ahead.clear()
        if heard:
            self._transport.close()
        else:
            half_close(self._transport)
            self._resume()
        self._watch()

    def _expired(self) -> None:
        """The client did not do its part in time."""
        if (self._full or self._closing) and self._reads_slowly():
            self._deadline.set(self._context.limits.client_stall_s)
        elif self._closing and not self._unsent_bytes and not self._transport.is_closing():
            self._transport.close()  # it was listened to for long enough
            self._watch()
        elif self._closing or self._full:
            self.abort()
        elif self._exchange is not None:
            self._exchange.fail(ClientTimeout("The request body stopped coming."))  # else there is no limit set
        elif self._heads:
            self._refuse_and_close(ClientTimeout("The head of the request did not arrive in time."))
        else:
            self._close()

    def _reads_slowly(self) -> bool:
        """Has it taken some of what is unsent since this was looked at last?"""
        before, self._unsent_bytes = self._unsent_bytes, self._transport.get_write_buffer_size()
        return 0 < self._unsent_bytes < before

    def _watch(self) -> None:
        """Set the limit for what the client has to do now. While it does not read, only that counts."""
        if self._full:
            return
        limits = self._context.limits
        if self._closing:
            self._unsent_bytes = self._transport.get_write_buffer_size()
            self._deadline.set(limits.client_stall_s if self._unsent_bytes else _LINGER_S)
        elif self._exchange is None:
            idle_s = _FIRST_REQUEST_S if self._context.leaving else limits.client_idle_s
            self._deadline.set(limits.client_head_s if self._heads else idle_s)
        elif self.body_done or self._held:
            self._deadline.clear()
        else:
            self._deadline.set(limits.client_stall_s)

    def _resume(self) -> None:
        if not self._transport.is_closing() and not self._ahead.is_much:
            self._transport.resume_reading()
