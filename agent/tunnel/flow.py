"""Back-pressure of the SSH connection, handed on to its channels; used by both ends.

The peer chooses the SSH window, and asyncssh writes to its transport whatever fits into it: an agent that announces
4 GiB and reads nothing made an obedient sender buffer 311 MB, and behind a slow link a small exchange waited for
seconds. So the connection's own ``pause_writing`` pauses the source of every channel, and the kernel is told to take
no more than 64 KiB that are not yet on the wire.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from asyncssh.connection import SSHConnection

_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # linux/tcp.h; named by Python from 3.12 on


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Socket options of a tunnel; the defaults notice a black hole in about 10 s, idle or busy."""

    keepalive_idle_s: int = 5
    keepalive_interval_s: int = 2
    keepalive_count: int = 3
    user_timeout_s: float = 10.0
    unsent_max_bytes: int = 64 * 1024
    backlog_max_bytes: int = 32 << 20


class Pausable(Protocol):
    """A channel session that can be told to stop its source because the whole link is full."""

    def pause_link(self) -> None:
        """The connection has too much to send."""

    def resume_link(self) -> None:
        """The connection takes bytes again."""


class LinkFlow:
    """Whether one SSH connection is full, and the sessions to be told about it.

    On a full link whoever is resumed first fills it again, and the rest is paused before it could write. So the order
    is drawn anew each time; in a fixed one the same channel would win for ever.
    """

    def __init__(
        self,
        conn: SSHConnection,
        limits: LinkLimits,
        shuffle: Callable[[list[Pausable]], None] = random.shuffle,
    ) -> None:
        self._shuffle = shuffle
        self._conn = conn
        self._limits = limits
        self._sessions: set[Pausable] = set()
        self._guard: asyncio.TimerHandle | None = None
        self.paused = False

    def __repr__(self) -> str:
        return f"<LinkFlow {'paused' if self.paused else 'open'} sessions={len(self._sessions)}>"

    @property
    def open_channels(self) -> int:
        """How many forwarded channels are open."""
        return len(self._sessions)

    def add(self, session: Pausable) -> None:
        """From now on tell ``session``; at once when the link is full already."""
        self._sessions.add(session)
        if self.paused:
            session.pause_link()

    def remove(self, session: Pausable) -> None:
        """The session's channel is gone."""
        self._sessions.discard(session)

    def pause_writing(self) -> None:
        """The transport of the connection is above its high-water mark."""
        self.paused = True
        for session in tuple(self._sessions):
            session.pause_link()
        self._watch_backlog()

    def resume_writing(self) -> None:
        """The transport of the connection is below its low-water mark."""
        self.paused = False
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None
        waiting = list(self._sessions)
        self._shuffle(waiting)
        for session in waiting:
            if self.paused:  # a session resumed just now has filled the link again
                break
            session.resume_link()

    def _watch_backlog(self) -> None:
        """Answers that asyncssh itself writes (to a flood of requests, say) obey nobody: cut a peer that reads none."""
        transport = self._conn.get_extra_info("flow_transport")
        if not self.paused or transport is None or transport.is_closing():
            self._guard = None
            return
        if transport.get_write_buffer_size() > self._limits.backlog_max_bytes:
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
