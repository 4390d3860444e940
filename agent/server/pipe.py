"""A byte stream within the process: mode Cloud puts the forwarder at its other end instead of a tunnel."""

from __future__ import annotations

import asyncio
from collections import deque

from agent.streams import ByteSession

_HIGH_BYTES = 262_144
_LOW_BYTES = 65_536


class PipeEnd:
    """One end (a ``ByteChannel``). What is written comes out at the peer in the next turn of the loop.

    Never in the same turn: a session would be called back while it is still writing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, session: ByteSession) -> None:
        self._loop = loop
        self._session = session
        self._peer: PipeEnd | None = None
        self._incoming: deque[bytes] = deque()
        self._incoming_bytes = 0
        self._eof = False
        self._ending = False
        self._ended = False
        self._reading = True
        self._scheduled = False
        self._peer_full = False

    def __repr__(self) -> str:
        return f"<PipeEnd {'ended' if self._ended else 'open'}, {self._incoming_bytes} bytes waiting>"

    def write(self, data: bytes) -> None:
        """Send bytes to the peer."""
        peer = self._peer
        if peer is None or self._ended or peer._ended:
            return
        peer._incoming.append(data)
        peer._incoming_bytes += len(data)
        peer._schedule()
        if peer._incoming_bytes > _HIGH_BYTES and not self._peer_full:
            self._peer_full = True
            self._session.pause_writing()

    def write_eof(self) -> None:
        """Say that nothing follows."""
        if self._peer is not None and not self._ended:
            self._peer._eof = True
            self._peer._schedule()

    def close(self) -> None:
        """End this end now; the peer still gets what was written."""
        self._end(flush=True)

    def abort(self) -> None:
        """End both ends, dropping what waits."""
        self._end(flush=False)

    def pause_reading(self) -> None:
        """Hold incoming bytes back."""
        self._reading = False

    def resume_reading(self) -> None:
        """Let incoming bytes come."""
        if not self._reading:
            self._reading = True
            self._schedule()

    def _end(self, *, flush: bool) -> None:
        if self._ended:
            return
        self._ended = True
        self._incoming.clear()
        self._loop.call_soon(self._session.connection_lost, None)
        peer = self._peer
        if peer is not None and not peer._ended:
            peer._ending = True
            if not flush:
                peer._incoming.clear()
                peer._incoming_bytes = 0
                peer._eof = False
            peer._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._ended:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        while self._incoming and self._reading and not self._ended:
            data = self._incoming.popleft()
            self._incoming_bytes -= len(data)
            self._session.data_received(data)
        peer = self._peer
        if peer is not None and peer._peer_full and self._incoming_bytes <= _LOW_BYTES and not peer._ended:
            peer._peer_full = False
            peer._session.resume_writing()
        if self._incoming or self._ended:
            return
        if self._eof:
            self._eof = False
            self._session.eof_received()
        if self._ending and not self._ended:
            self._ended = True
            self._session.connection_lost(None)


def make_pipe(loop: asyncio.AbstractEventLoop, near: ByteSession, far: ByteSession) -> None:
    """Connect two sessions; both are told ``connection_made``."""
    one, other = PipeEnd(loop, near), PipeEnd(loop, far)
    one._peer, other._peer = other, one
    far.connection_made(other)
    near.connection_made(one)
