"""One channel on the store's side: takes in heads and runs exchanges one after another.

Driven by callbacks alone. The session knows the channel, ``ForwardExchange`` knows the store.
"""

from __future__ import annotations

import asyncio

from agent.errors import ClientTimeout, ExchangeError, MessageError
from agent.forward.context import ForwardContext
from agent.forward.deadline import Deadline
from agent.forward.exchange import ForwardExchange
from agent.request_heads import RequestHeads
from agent.rewrite import error_response
from agent.streams import ByteChannel


class ForwardSession:
    """The agent's end of one channel (a ``ByteSession``); ``nonce`` marks the answers that are made here.

    ``channel_full`` is True while the channel takes no more bytes.
    """

    def __init__(self, context: ForwardContext, nonce: bytes) -> None:
        self.context = context
        self.nonce = nonce
        self.channel_full = False
        self._heads = RequestHeads()
        self._exchange: ForwardExchange | None = None
        self._ended = False
        # Set by connection_made; the session is told nothing before.
        self.channel: ByteChannel
        self.loop: asyncio.AbstractEventLoop
        self.deadline: Deadline

    def __repr__(self) -> str:
        return f"<ForwardSession {'ended' if self._ended else self._exchange or 'idle'}>"

    # -- the channel says ----------------------------------------------------------------------------------------

    def connection_made(self, channel: ByteChannel) -> None:
        """The channel is open and idle."""
        self.channel = channel
        self.loop = asyncio.get_running_loop()
        self.deadline = Deadline(self.loop, self._expired)
        self.context.sessions += 1

    def data_received(self, data: bytes) -> None:
        """Bytes of a head, or of the running exchange's body."""
        if self._exchange is not None:
            self._exchange.body_data(data)
        elif not self._ended:
            self._head_data(data)

    def eof_received(self) -> None:
        """The gateway writes no more: it never says that while it still wants an answer."""
        self.cut("client_gone")

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - part of the protocol
        """The channel is gone: the client left, or the tunnel broke. The store request goes too."""
        self._ended = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon("client_gone")
        self.deadline.close()
        self.context.sessions -= 1

    def pause_writing(self) -> None:
        """The channel's window or the tunnel is full: hold the store back."""
        self.channel_full = True
        if self._exchange is not None:
            self._exchange.hold_store()

    def resume_writing(self) -> None:
        """There is room again."""
        self.channel_full = False
        if self._exchange is not None:
            self._exchange.release_store()

    # -- the exchange says ---------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Bytes of an answer. A channel that was closed under us is the loss that ``connection_lost`` will tell."""
        try:
            self.channel.write(data)
        except BrokenPipeError:  # asyncssh: between the peer's close and its report to us
            self.cut("client_gone")

    def answer(
        self, error: ExchangeError, *, as_json: bool, to_head: bool, close: bool, request_id: bytes = b""
    ) -> None:
        """Answer in the store's place, marked by the nonce, and end the exchange."""
        self.send(
            error_response(
                error,
                proxy=self.context.proxy,
                as_json=as_json,
                to_head=to_head,
                about=request_id,
                nonce=self.nonce,
                close=close,
            )
        )
        self.over(close=close)

    def over(self, *, close: bool) -> None:
        """The exchange is whole. ``close``: its end is the channel's end (EOF marks a whole answer)."""
        self._exchange = None
        self.deadline.clear()
        if self._ended:
            return  # cut meanwhile
        if close:
            # Before anything else: what still comes is the rest of a body and must never be read as a next request.
            self._ended = True
            self.channel.write_eof()
            self.channel.close()
        else:
            self.channel.resume_reading()

    def cut(self, reason: str) -> None:
        """End without EOF, so that the other side knows that something is missing."""
        self._ended = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon(reason)
        self.deadline.clear()
        self.channel.abort()

    # -- inside --------------------------------------------------------------------------------------------------

    def _head_data(self, data: bytes) -> None:
        try:
            head = self._heads.feed(data)
            if head is None:
                self.deadline.set(self.context.timeouts.stall_s)
                return
        except MessageError as error:
            self._refuse(error.answer(error.detail))
            return
        exchange = self._exchange = ForwardExchange(self, head)
        exchange.begin(self._heads.take_rest())

    def _refuse(self, error: ExchangeError) -> None:
        """What cannot be understood is not guessed at: answer and close."""
        self.answer(error, as_json=False, to_head=False, close=True)

    def _expired(self) -> None:
        if self._exchange is not None:
            self._exchange.expired()
        elif not self._ended:
            self._refuse(ClientTimeout("The head of a request stopped coming."))
