"""The gateway's ends of channels: one exchange at a time on each, kept open between exchanges."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from agent.forward.deadline import Deadline
from agent.streams import ByteChannel

if TYPE_CHECKING:  # the pool makes its channels
    from agent.server.channel_pool import ChannelPool


class UpstreamUser(Protocol):
    """The exchange that uses a channel at this moment."""

    def upstream_data(self, data: bytes) -> None:
        """Bytes of the answer."""

    def upstream_lost(self, *, whole: bool) -> None:
        """The channel is gone; ``whole``: its end was announced by EOF, so nothing is missing."""

    def upstream_hold(self) -> None:
        """The channel takes no more bytes for now."""

    def upstream_release(self) -> None:
        """The channel takes bytes again."""

    def upstream_expired(self) -> None:
        """Nothing came for longer than an honest agent would have waited."""


class UpstreamChannel:
    """The gateway's end of one channel (a ``ByteSession``).

    ``uses`` counts its exchanges, ``idle_since`` is the loop's time of its last return to the pool.
    """

    def __init__(self, pool: ChannelPool, nonce: bytes, *, plain: bool) -> None:
        self.pool = pool
        self.nonce = nonce
        self.plain = plain
        self.user: UpstreamUser | None = None
        self.uses = 0
        self.idle_since = 0.0
        self.closed = False
        self.full = False
        self._eof = False
        self._paused = False
        self._channel: ByteChannel | None = None
        self._deadline = Deadline(asyncio.get_running_loop(), self._expired)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "busy" if self.user is not None else "idle"
        return f"<UpstreamChannel {state} uses={self.uses}>"

    # -- what the exchange does ----------------------------------------------------------------------------------

    def attach(self, user: UpstreamUser) -> None:
        """The channel now carries this exchange."""
        self.user = user
        self.uses += 1

    def write(self, data: bytes) -> None:
        """Send bytes of the request."""
        if self._channel is not None and not self.closed:
            try:
                self._channel.write(data)
            except BrokenPipeError:  # asyncssh: between the agent's close and its report by connection_lost
                self.closed = True

    def expect_within(self, delay_s: float) -> None:
        """Something must come within this time, else the exchange is told ``upstream_expired``."""
        self._deadline.set(delay_s)

    def pause_reading(self) -> None:
        """Hold the answer back; the agent feels it by the channel's window. Idempotent."""
        if not self._paused and self._channel is not None and not self.closed:
            self._paused = True
            self._channel.pause_reading()

    def resume_reading(self) -> None:
        """Let the answer come. Idempotent."""
        if self._paused and self._channel is not None and not self.closed:
            self._paused = False
            self._channel.resume_reading()

    def release(self) -> None:
        """The exchange ended cleanly: keep the channel for the next one."""
        self.user = None
        self._deadline.clear()
        self.resume_reading()
        if self.closed or self._eof:
            self.abort()
        else:
            self.pool.give_back(self)

    def abort(self) -> None:
        """End at once; the agent lets go of the store request."""
        self.user = None
        self.closed = True
        self._deadline.close()
        self.pool.forget(self)  # now: connection_lost comes a round trip later, and nobody may take it until then
        if self._channel is not None:
            self._channel.abort()

    # -- what the channel says -----------------------------------------------------------------------------------

    def connection_made(self, channel: ByteChannel) -> None:
        """The channel is open."""
        self._channel = channel

    def data_received(self, data: bytes) -> None:
        """Bytes from the agent; without an exchange nobody asked for them."""
        if self.user is None:
            self.abort()
            return
        self.user.upstream_data(data)

    def eof_received(self) -> None:
        """The agent writes no more: the end of a whole answer, or of an idle channel."""
        self._eof = True
        if self.user is None:
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - part of the protocol
        """The channel is gone."""
        self.closed = True
        self._deadline.close()
        user, self.user = self.user, None
        self.pool.forget(self)
        if user is not None:
            user.upstream_lost(whole=self._eof)

    def pause_writing(self) -> None:
        """The channel's window, or the tunnel, is full; remembered for an exchange that comes while it is."""
        self.full = True
        if self.user is not None:
            self.user.upstream_hold()

    def resume_writing(self) -> None:
        """There is room again."""
        self.full = False
        if self.user is not None:
            self.user.upstream_release()

    def _expired(self) -> None:
        if self.user is not None:
            self.user.upstream_expired()
