"""One forwarded channel: asyncssh's session on one face, our ``ByteSession`` on the other; used by both ends.

asyncssh closes the whole connection when a callback of one channel raises, so every callback is guarded: an error of
ours ends its own channel and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncssh
import structlog

from agent.streams import ByteSession
from agent.tunnel.algorithms import (
    CHANNEL_PACKET_BYTES,
    CHANNEL_WINDOW_BYTES,
    LISTEN_HOST,
    LISTEN_PORT,
    PACKET_MIN_BYTES,
)
from agent.tunnel.flow import LinkFlow

log = structlog.get_logger("agent")


class ChannelSession(asyncssh.SSHTCPSession[bytes]):
    """Wraps ``session``; hands it half-close, and one pause for the channel's window and the link together."""

    def __init__(self, session: ByteSession, flow: LinkFlow) -> None:
        self._session = session
        self._flow = flow
        self._channel: asyncssh.SSHTCPChannel[bytes] | None = None
        self._opened = False
        self._failed = False
        self.refused = False
        self._eof_waits = False
        self._window_full = False
        self._link_full = False
        self._window_seen = 0

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        """The channel is open."""
        self._channel = chan
        if chan._send_pktsize < PACKET_MIN_BYTES:  # noqa: SLF001 - asyncssh shows it nowhere else
            self._failed = self.refused = True
        if self._failed:  # or whoever asked for it has given up meanwhile
            chan.abort()
            return
        self._opened = True
        self._window_seen = chan._send_window  # noqa: SLF001 - see take_sent_bytes
        self._flush = chan._flush_recv_buf  # noqa: SLF001 - see _flush_in_order
        chan._flush_recv_buf = self._flush_in_order  # type: ignore[method-assign]  # noqa: SLF001 - as above
        self._call(self._session.connection_made, chan)
        self._flow.add(self)

    def data_received(self, data: bytes, datatype: int | None = None) -> None:  # noqa: ARG002 - asyncssh's signature
        """Bytes have come; written out, not through ``_call``: this is the hot path."""
        if self._failed:
            return
        try:
            self._session.data_received(data)
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            self._fail(error)

    def eof_received(self) -> bool:
        """The peer writes no more; the channel stays half-open until one side closes it."""
        self._eof_waits = False
        self._call(self._session.eof_received)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone; the session is told in any case, also after a failure of its own."""
        self._flow.remove(self)
        channel, self._channel = self._channel, None
        if not self._opened:
            return
        if self._eof_waits and channel is not None and not channel._recv_buf:  # noqa: SLF001 - see _flush_in_order
            self.eof_received()
        try:
            self._session.connection_lost(exc)
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            self._fail(error)

    def _flush_in_order(self, exc: Exception | None = None) -> None:
        """asyncssh's delivery of what it holds back while the session reads nothing, with two corrections.

        It forgets an EOF that waits when a close follows, so that a whole answer would look cut off; and it tells a
        close only when everything was read, so that a paused session would never hear that its peer gave up.
        """
        channel = self._channel
        if channel is not None:
            if channel._recv_state == "eof_pending":  # noqa: SLF001 - asyncssh shows it nowhere else
                self._eof_waits = True
            elif channel._recv_state == "close_pending" and channel._recv_paused and not self._eof_waits:  # noqa: SLF001 - as above
                channel._recv_buf.clear()  # noqa: SLF001 - without an EOF before it, it is of no use any more
        self._flush(exc)

    def pause_writing(self) -> None:
        """The peer's window is used up."""
        self._set_full(window=True, link=self._link_full)

    def resume_writing(self) -> None:
        """The peer's window is open again."""
        self._set_full(window=False, link=self._link_full)

    def pause_link(self) -> None:
        """The whole connection has too much to send."""
        self._set_full(window=self._window_full, link=True)

    def resume_link(self) -> None:
        """The whole connection takes bytes again."""
        self._set_full(window=self._window_full, link=False)

    def take_sent_bytes(self) -> int:
        """Bytes sent since this was asked last, told by the peer's window; once it was opened anew, a guess."""
        channel = self._channel
        if channel is None:
            return 0
        before, self._window_seen = self._window_seen, channel._send_window  # noqa: SLF001 - else each write would count
        sent = before - self._window_seen
        return sent if sent >= 0 else CHANNEL_WINDOW_BYTES // 2

    def pass_on(self, session: ByteSession) -> None:
        """The channel is open and idle: from now on it is ``session``'s."""
        self._session = session
        if self._channel is not None:
            self._call(session.connection_made, self._channel)
            if self._window_full or self._link_full:
                self._call(session.pause_writing)

    def abandon(self) -> None:
        """Nobody waits for this channel any more: close it now, or as soon as it opens."""
        self._failed = True
        if self._channel is not None:
            self._channel.abort()

    def _set_full(self, *, window: bool, link: bool) -> None:
        """The only place where the two pauses change; the session hears of their sum."""
        before = self._window_full or self._link_full
        self._window_full, self._link_full = window, link
        if (window or link) != before:
            self._call(self._session.resume_writing if before else self._session.pause_writing)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        if self._failed:
            return
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """End this channel. The error's text stays out of the log: it may quote what a peer or a store sent."""
        self._failed = True
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = f"{frame.tb_frame.f_code.co_name}:{frame.tb_lineno}" if frame is not None else ""
        log.error("channel.failed", error=type(error).__name__, where=where)
        if self._channel is not None:
            self._channel.abort()


async def open_channel(
    conn: asyncssh.SSHServerConnection, flow: LinkFlow, session: ByteSession, window_bytes: int
) -> ChannelSession:
    """Open a forwarded channel to the agent and hand it to ``session``; returns what passes it on.

    Raises ``asyncssh.ChannelOpenError`` when the agent refuses or the connection is gone; no byte was sent then.
    """
    guarded = ChannelSession(session, flow)
    opening = asyncio.ensure_future(
        conn.create_connection(
            lambda: guarded, LISTEN_HOST, LISTEN_PORT, window=window_bytes, max_pktsize=CHANNEL_PACKET_BYTES
        )
    )
    try:
        # shield: asyncssh would keep a channel whose opener was cancelled open for ever
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        guarded.abandon()
        opening.add_done_callback(_swallow)
        raise
    except asyncssh.ChannelOpenError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, there is no channel, and who waits for it must hear so
        # An AssertionError: the connection went away in the moment between the agent's consent and the use of it.
        # PacketDecodeError: the agent consented in words of its own.
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, type(error).__name__) from None
    if guarded.refused:
        reason = f"the agent takes packets of less than {PACKET_MIN_BYTES} bytes"
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, reason)
    return guarded


def _swallow(opening: asyncio.Future[Any]) -> None:
    """The opener was cancelled: nobody else fetches the error."""
    if not opening.cancelled():
        opening.exception()
