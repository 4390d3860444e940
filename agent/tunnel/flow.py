"""Back-pressure of the SSH connection, handed on to its channels; used by both ends.

The peer chooses the SSH window, and asyncssh writes to its transport whatever fits into it: an agent that announces
4 GiB and reads nothing made an obedient sender buffer 311 MB, and behind a slow link a small exchange waited for
seconds. So the connection's own ``pause_writing`` pauses the source of every channel, and the kernel is told to take
no more than 64 KiB that are not yet on the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, replace
from typing import Final, Protocol, Self

from asyncssh.connection import SSHConnection

from agent.tunnel.tcp_silence import tcp_silence_s, unacknowledged_bytes

_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # linux/tcp.h; named by Python from 3.12 on
_TURN_MAX_BYTES: Final = 256 * 1024  # what a read of asyncio or uvloop brings; more was sent while the link was free
_DELIVERY_PAUSE_MAX_S: Final = 2.0
_LINGER_NONE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Socket options of a tunnel; the kernel notices a black hole in about 10 s when nothing is sent into it.

    When something is, its 10 s begin anew (``tcp_silence``): ``unheard_max_s`` is how long the other end's kernel may
    say nothing at all, probes included, and bounds the whole at 12 s and one look.
    """

    keepalive_idle_s: int = 5
    keepalive_interval_s: int = 2
    keepalive_count: int = 3
    user_timeout_s: float = 10.0
    unheard_max_s: float = 12.0
    unsent_max_bytes: int = 64 * 1024
    backlog_max_bytes: int = 32 << 20

    @classmethod
    def within(cls, silence_limit_s: float) -> Self:
        """The defaults, made shorter where they would outlast ``silence_limit_s``.

        The kernel counts keepalive in whole seconds, one at least for each of its steps.
        """
        limits = cls()
        whole_s = int(silence_limit_s)
        if limits.keepalive_idle_s + limits.keepalive_interval_s * limits.keepalive_count > whole_s:
            count = min(limits.keepalive_count, max(whole_s - 1, 1))
            idle_s = min(limits.keepalive_idle_s, max(whole_s - count, 1))
            limits = replace(limits, keepalive_idle_s=idle_s, keepalive_interval_s=1, keepalive_count=count)
        return replace(
            limits,
            user_timeout_s=min(limits.user_timeout_s, silence_limit_s),
            # A living link is silent until its next probe is answered: that much must be waited for.
            unheard_max_s=min(
                limits.unheard_max_s, max(silence_limit_s, limits.keepalive_idle_s + limits.keepalive_interval_s)
            ),
        )


class Pausable(Protocol):
    """A channel session that can be told to stop its source because the whole link is full."""

    def pause_link(self) -> None:
        """The connection has too much to send."""

    def resume_link(self) -> None:
        """The connection takes bytes again."""

    def take_sent_bytes(self) -> int:
        """Roughly how many bytes it sent since this was asked last."""


class LinkFlow:
    """Whether one SSH connection is full, and the sessions to be told about it.

    On a full link whoever is resumed first fills it again, and the rest is paused before it could write. So whose turn
    it is decides all, and it is the turn of who has sent least (start-time fair queueing, Goyal et al. 1996): each
    session has a mark that moves on by what it sent, and begins at the mark of those served when it was silent before.
    A small exchange then goes first: 8 downloads at 20 Mbit/s made it wait 1.3 s (3.4 at worst) while turns were drawn
    by lot, and 0.2 s so.
    """

    def __init__(self, conn: SSHConnection, limits: LinkLimits) -> None:
        self._conn = conn
        self.limits = limits
        self._sessions: dict[Pausable, int] = {}  # with their marks
        self._served_mark = 0
        self._guard: asyncio.TimerHandle | None = None
        self.paused = False

    def __repr__(self) -> str:
        return f"<LinkFlow {'paused' if self.paused else 'open'} sessions={len(self._sessions)}>"

    @property
    def open_channels(self) -> int:
        """How many forwarded channels are open."""
        return len(self._sessions)

    def is_cut(self) -> bool:
        """True when the other end's kernel has answered no probe for so long that the network must be cut."""
        return tcp_silence_s(self._conn.get_extra_info("socket")) > self.limits.unheard_max_s

    def is_delivering(self) -> bool:
        """True while bytes of ours wait to be acknowledged, and the other end's kernel goes on acknowledging."""
        sock, transport = self._conn.get_extra_info("socket"), self._conn.get_extra_info("flow_transport")
        is_waiting = unacknowledged_bytes(sock) > 0 or (transport is not None and transport.get_write_buffer_size() > 0)
        return is_waiting and tcp_silence_s(sock) < _DELIVERY_PAUSE_MAX_S

    def reset(self) -> None:
        """End the connection now, by RST, which may still arrive where only the other way is cut.

        A close would send its FIN behind bytes that nobody acknowledges, so never: the other end took 20 s to notice.
        """
        sock = self._conn.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            with contextlib.suppress(OSError):  # the connection has just gone
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._conn.abort()

    def add(self, session: Pausable) -> None:
        """From now on tell ``session``; at once when the link is full already."""
        self._sessions[session] = self._served_mark
        if self.paused:
            session.pause_link()

    def remove(self, session: Pausable) -> None:
        """The session's channel is gone."""
        self._sessions.pop(session, None)

    def pause_writing(self) -> None:
        """The transport of the connection is above its high-water mark."""
        self.paused = True
        self._count()
        for session in tuple(self._sessions):
            session.pause_link()
        self._watch_backlog()

    def resume_writing(self) -> None:
        """The transport of the connection is below its low-water mark."""
        self.paused = False
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None
        for session in sorted(self._sessions, key=self._sessions.__getitem__):
            if self.paused:  # a session resumed just now has filled the link again
                break
            session.resume_link()

    def _count(self) -> None:
        """Move the marks of those that sent something since the link was full last."""
        began_at = []
        for session, mark in self._sessions.items():
            sent = session.take_sent_bytes()
            if sent:
                began_at.append(max(mark, self._served_mark))
                self._sessions[session] = began_at[-1] + min(sent, _TURN_MAX_BYTES)
        if began_at:
            self._served_mark = min(began_at)

    def _watch_backlog(self) -> None:
        """Answers that asyncssh itself writes (to a flood of requests, say) obey nobody: cut a peer that reads none."""
        transport = self._conn.get_extra_info("flow_transport")
        if not self.paused or transport is None or transport.is_closing():
            self._guard = None
            return
        if transport.get_write_buffer_size() > self.limits.backlog_max_bytes:
            self._guard = None
            self._conn.abort()
            return
        self._guard = asyncio.get_running_loop().call_later(1.0, self._watch_backlog)


def propagate_flow_control(conn: SSHConnection, limits: LinkLimits | None = None) -> LinkFlow:
    """Set the socket options of ``conn`` and make its transport's back-pressure reach its channel sessions.

    To be called in ``connection_made`` of the connection's owner. The two methods are replaced on the instance:
    asyncio and uvloop both look them up at each call, and asyncssh's own do nothing.
    """
    limits = limits or LinkLimits()
    flow = LinkFlow(conn, limits)
    conn.set_extra_info(flow_transport=conn._transport)  # noqa: SLF001 - asyncssh shows the transport nowhere else
    conn.pause_writing = flow.pause_writing  # type: ignore[method-assign]  # see the docstring
    conn.resume_writing = flow.resume_writing  # type: ignore[method-assign]  # see the docstring
    set_link_options(conn.get_extra_info("socket"), limits)
    return flow


def set_link_options(sock: socket.socket | None, limits: LinkLimits) -> None:
    """Kernel keepalive, user time-out (RFC 5482) and unsent limit; nothing on a socket that is not TCP."""
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, limits.keepalive_idle_s),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, limits.keepalive_interval_s),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, limits.keepalive_count),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.user_timeout_s * 1000)),
        (socket.IPPROTO_TCP, _NOTSENT_LOWAT, limits.unsent_max_bytes),
    ):
        sock.setsockopt(level, option, value)
