"""One exchange at the gateway: from an admitted order over a channel to the whole answer.

Invariant: the request is handed to a second channel only if no byte of it was handed to the first, or if it is a read
without a body of whose answer no byte was passed on. Writes are never repeated.
"""

from __future__ import annotations

import asyncio
import time

from agent.errors import ExchangeError, MessageError, StoreBadResponse, StoreTimeout, TunnelLost
from agent.http1 import Framing, ResponseHead
from agent.response_reader import ResponseReader
from agent.rewrite import agent_error_name, response_from_store, response_to_client
from agent.server.channels import UpstreamChannel
from agent.server.exchange_client import ExchangeClient
from agent.server.gateway_context import GatewayContext, Phase
from agent.server.order import Order
from agent.server.routes import Route
from agent.server.tally import Tally

_READ_ATTEMPTS_MAX = 3


class Exchange:
    """One request and its response; an ``Applicant`` for its connection's admission, then user of a channel."""

    __slots__ = (
        "_admission", "_at_once", "_attempts", "_channel", "_client", "_close", "_context", "_error", "_held", "_order",
        "_over", "_queued", "_reader", "_route", "_running", "_silence_s", "_tally", "_task", "_who",
    )  # a list to be scanned  # fmt: skip

    def __init__(self, context: GatewayContext, client: ExchangeClient, order: Order, route: Route) -> None:
        self._context = context
        self._client = client
        self._order = order
        self._route = route
        self._admission = context.admission(route)
        self._channel: UpstreamChannel | None = None
        self._task: asyncio.Task[None] | None = None
        self._reader: ResponseReader | None = None
        self._close = order.is_last
        self._queued = False
        self._running = False
        self._over = False
        self._held = False
        self._at_once = False
        self._attempts = 0
        self._who = "gateway"
        self._error = ""
        self._silence_s = route.silence_s(context.limits.upstream_silence_s)
        self._tally = Tally(context.loop.time())

    def __repr__(self) -> str:
        return f"<Exchange {self._order.request_id.decode()} {self._route.slug} {self._channel}>"

    @property
    def has_channel(self) -> bool:
        """False while it waits, for its turn or for a tunnel."""
        return self._channel is not None

    # -- admission -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Apply for a place."""
        self._queued = True
        self._context.began(self)
        self._at_once = True
        self._admission.enter(self)
        self._at_once = False

    def admitted(self) -> None:
        """There is a place: find a channel."""
        self._queued = False
        self._running = True
        self._seek()

    def refused(self, error: ExchangeError) -> None:
        """There is none."""
        self._queued = False
        self.fail(error)

    # -- the way up ----------------------------------------------------------------------------------------------

    def _seek(self) -> None:
        if self._over:
            return
        channel = self._context.upstreams.take(self._route, for_write=not self._order.repeatable)
        if channel is not None:
            self._send(channel)
        else:
            self._task = self._context.spawn(self._find(), "gateway.find-channel")

    async def _find(self) -> None:
        try:
            channel = await self._context.upstreams.find(self._route, for_write=not self._order.repeatable)
        except ExchangeError as error:
            self._task = None
            self.fail(error)
            return
        self._task = None
        if self._over:
            channel.release()
        else:
            self._send(channel)

    def _send(self, channel: UpstreamChannel) -> None:
        order = self._order
        # In the very call in which the order was taken nothing can have been withdrawn.
        withdrawn = None if self._at_once else order.withdrawn(self._context.table, time.time())
        if withdrawn is not None:
            channel.release()
            self.fail(withdrawn)
            return
        self._attempts += 1
        self._channel = channel
        self._tally.sent(channel.pool, self._context.loop.time())
        self._reader = ResponseReader(
            self._rewrite,
            to_head=order.to_head,
            rewrite_interim=response_from_store if order.head.minor else None,
            dechunk=order.head.minor == 0,
        )
        channel.attach(self)
        if self._held:
            channel.pause_reading()
        channel.expect_within(self._silence_s)
        sent = order.plain_head if channel.plain else order.sent_head
        channel.write(sent)
        self._tally.bytes_up += len(sent)
        if not self._client.body_done and not channel.full:
            self._client.want_body()

    def body(self, data: bytes) -> None:
        """Bytes of the request body."""
        channel = self._channel
        if channel is not None:
            self._tally.bytes_up += len(data)
            channel.expect_within(self._silence_s)
            channel.write(data)

    # -- the channel says ----------------------------------------------------------------------------------------

    def upstream_data(self, data: bytes) -> None:
        """Bytes of the answer, checked here as strictly as on the agent's side, which is not trusted."""
        reader, channel = self._reader, self._channel
        if reader is None or channel is None:
            return
        try:
            passed = reader.feed(data)
        except MessageError as error:
            self._let_go()
            self._broken(StoreBadResponse(error.detail, outcome_unknown=not self._order.safe))
            return
        if passed:
            tally = self._tally
            if not tally.bytes_down:
                tally.first_at = self._context.loop.time()
            tally.bytes_down += len(passed)
            self._client.send(passed)
        if self._over:
            return
        if reader.done and self._framing is not Framing.UNTIL_EOF:
            self._answered()
        else:
            channel.expect_within(self._silence_s)

    def upstream_lost(self, *, whole: bool) -> None:
        """The channel is gone. Only an EOF before it makes an answer without a length whole."""
        self._channel = None
        reader = self._reader
        if reader is None:
            return
        if whole and reader.eof():
            self._answered()
            return
        may_repeat = not self._tally.bytes_down and self._order.repeatable and self._attempts < _READ_ATTEMPTS_MAX
        if may_repeat and self._context.phase is not Phase.REFUSING:
            self._context.loop.call_soon(self._seek)  # once the tunnel's idle channels have been told, too
            return
        self._broken(TunnelLost(outcome_unknown=not self._order.safe))

    def upstream_hold(self) -> None:
        """The tunnel is full: the client's body waits in its socket."""
        self._client.hold_body()

    def upstream_release(self) -> None:
        """There is room again."""
        if not self._client.body_done:
            self._client.want_body()

    def upstream_expired(self) -> None:
        """The agent is silent for longer than it allows a store to be."""
        if self._held:
            return  # we told it to wait: the client does not read, and has a limit of its own
        self._let_go()
        self._broken(StoreTimeout(outcome_unknown=not self._order.safe))

    # -- the client says -----------------------------------------------------------------------------------------

    def hold_answer(self) -> None:
        """The client reads slowly: its answer waits behind the channel's window, other channels go on."""
        self._held = True
        if self._channel is not None:
            self._channel.pause_reading()

    def release_answer(self) -> None:
        """The client reads on."""
        self._held = False
        if self._channel is not None:
            # In this order: an SSH channel delivers what it held back within the second call, maybe to the end.
            self._channel.expect_within(self._silence_s)
            self._channel.resume_reading()

    def abandon(self) -> None:
        """The client is gone: abort the channel, and with it the store request."""
        if not self._over:
            self._let_go()
            self._end(0, "client_gone")

    def fail(self, error: ExchangeError) -> None:
        """End with this error, or with a cut when the answer's head has gone out."""
        if not self._over:
            error.outcome_unknown |= self._attempts > 0 and not self._order.safe  # a part of a write may have got there
            self._let_go()
            self._broken(error)

    # -- ends ----------------------------------------------------------------------------------------------------

    @property
    def _framing(self) -> Framing | None:
        return self._reader.head.framing if self._reader is not None and self._reader.head is not None else None

    def _rewrite(self, head: ResponseHead) -> bytes:
        """The final head for the client; decides whether its connection ends with this answer."""
        channel = self._channel
        error = agent_error_name(head, channel.nonce) if channel is not None else None
        self._error = error or ""
        self._who = "store" if error is None else "agent" if self._route.mode == "on-premise" else "gateway"
        if head.framing is Framing.UNTIL_EOF or self._context.leaving:
            self._close = True
        return response_to_client(
            head,
            self._order.request_id,
            by_agent=error is not None,
            close=self._close,
            dechunked=self._order.head.minor == 0 and head.framing is Framing.CHUNKED,
        )

    def _answered(self) -> None:
        channel, self._channel, reader = self._channel, None, self._reader
        assert reader is not None and reader.head is not None  # noqa: S101 - a whole answer has a head
        complete = self._client.body_done
        if channel is not None:
            # An agent says by "close" that its channel ends; behind a stock ssh tunnel it is the store who says so.
            kept = reader.head.keep_alive if channel.plain else b"close" not in reader.head.connection_options
            if kept and complete and not reader.surplus:
                channel.release()
            else:
                channel.abort()
        self._end(reader.head.status, self._error)
        self._client.answered(close=self._close or not complete)

    def _broken(self, error: ExchangeError) -> None:
        head = self._reader.head if self._reader is not None else None
        if head is None:
            self._who = "gateway"
            self._end(error.status, error.name)
            self._client.refuse(error)
        else:
            self._end(head.status, error.name)
            self._client.cut()

    def _let_go(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.abort()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _end(self, status: int, error: str) -> None:
        """Give the place back and write the record; once."""
        if self._over:
            return
        self._over = True
        if self._running:
            self._running = False
            if self._admission.waiting:  # the next one is let in from here, not from within this one
                self._context.loop.call_soon(self._admission.leave)
            else:
                self._admission.leave()
        elif self._queued:
            self._admission.withdraw(self)
        who = self._who if status else "nobody"
        self._context.ended(
            self, self._tally.record(self._order, self._route, who, status, error, self._context.loop.time())
        )
