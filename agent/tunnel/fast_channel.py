"""A forwarded channel on the fast path: its data goes straight into packets, and its window is sized to the line."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

from asyncssh.channel import SSHTCPChannel
from asyncssh.connection import SSHConnection
from asyncssh.constants import MSG_CHANNEL_WINDOW_ADJUST
from asyncssh.packet import UInt32

from agent.tunnel.window import LOOK_BYTES, grown_window_bytes, kept_window_bytes, start_window_bytes

_PIECE_BYTES: Final = 4096
"""What is held back for a paused reader is joined to pieces of this size: each costs 100 bytes, and a peer may send
one byte at a time."""

_REST_S: Final = 2.0
"""Without a look: what comes then is measured anew."""


_DROPPED_WHILE: Final = frozenset(("close_pending", "closed"))
"""States of the sending side in which asyncssh drops what comes."""


class PacketPath(Protocol):
    """What a channel needs of its connection's fast path."""

    def may_send(self) -> bool:
        """True when the next packet may be sealed there."""

    def put_data(self, number: bytes, data: bytes | memoryview) -> None:
        """Seal a packet of data, to be written with the others of this turn; calls nobody."""

    def settle(self) -> None:
        """Write what was put, when it is much; the transport may then pause its sources."""

    @property
    def round_trip_s(self) -> float:
        """The shortest one that was measured; 0 while none was."""

    def window_room_bytes(self, *, to_start: bool = False) -> int:
        """By how much a window may still grow; ``to_start``: that of a channel which has carried nothing yet."""

    def take_window_bytes(self, size: int) -> None:
        """A window has grown by so much; less than 0: it has shrunk."""


class FastChannel(SSHTCPChannel[bytes]):
    """asyncssh's channel, but for ``write``, and for the window that it announces: see ``window``."""

    def __init__(
        self,
        conn: SSHConnection,
        loop: asyncio.AbstractEventLoop,
        encoding: str | None,
        errors: str,
        window: int,
        max_pktsize: int,
        path: PacketPath,
    ) -> None:
        super().__init__(conn, loop, encoding, errors, window, max_pktsize)
        self.path = path
        self._base_window = window
        self._announced_at = self._looked_at = self._paused_at = time.monotonic()
        self._paused_s = 0.0
        self._resize(self._start_window())
        self._recv_window = self._init_recv_window
        self._look_from(self._recv_window)

    # -- receiving -----------------------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """As asyncssh's; the window shrinks where the reader is what is slow."""
        if self._recv_paused is not True:
            self._paused_at = time.monotonic()
        super().pause_reading()

    def resume_reading(self) -> None:
        """As asyncssh's."""
        if self._recv_paused is True:
            self._paused_s += time.monotonic() - self._paused_at
        super().resume_reading()

    def _accept_data(self, data: bytes, datatype: int | None = None) -> None:
        held = self._recv_buf
        if not (held or self._recv_paused or datatype or self._encoding) and self._send_state not in _DROPPED_WHILE:
            self._recv_window -= len(data)
            if self._recv_window < self._look_below:  # never behind the half, at which asyncssh would announce more
                self._look()
            if data and self._session is not None:
                self._session.data_received(data, None)
            return
        if held and self._recv_paused and datatype is None:
            last, kind = held[-1]
            if kind is None and len(last) + len(data) <= _PIECE_BYTES:
                self._recv_window -= len(data)
                held[-1] = (last + data, None)
                return
        super()._accept_data(data, datatype)

    def _deliver_data(self, data: bytes, datatype: int | None) -> None:
        # asyncssh may deliver what was held back when the channel is gone: its window has been given back then.
        if self._recv_window < self._look_below and self._send_state not in _DROPPED_WHILE:
            self._look()
        super()._deliver_data(data, datatype)

    def line_measured(self) -> None:
        """The round trip has become known: begin with the window that such a line deserves."""
        window, before = self._start_window(), self._init_recv_window
        if window > before and self._recv_state == self._send_state == "open":
            self._resize(window)
            self._announce(window - before)
            self._look_from(self._recv_window)

    def _look(self) -> None:
        """Resize the window after what came since the last look, and announce it; asyncssh would at the half."""
        now, before, left, path = time.monotonic(), self._init_recv_window, self._recv_window, self.path
        elapsed_s, round_trip_s = now - self._announced_at, path.round_trip_s
        window = before
        if self._paused_s <= elapsed_s / 8:
            window = grown_window_bytes(
                before,
                read_bytes=self._looked_window - left,
                elapsed_s=now - self._looked_at,
                round_trip_s=round_trip_s,
                room_bytes=path.window_room_bytes(),
            )
        is_half = left < before // 2
        if is_half and window == before:
            window = kept_window_bytes(
                before, self._base_window, elapsed_s=elapsed_s, paused_s=self._paused_s, round_trip_s=round_trip_s
            )
        if window != before:
            self._resize(window)
        if left < window // 2:
            self._announce(window - left)
        if is_half or now - self._looked_at > _REST_S:
            self._announced_at, self._paused_s = now, 0.0
        self._looked_at = now
        self._look_from(self._recv_window)

    def _look_from(self, window: int) -> None:
        self._looked_window = window
        whole = self._init_recv_window
        # Never behind the half, at which asyncssh would announce what is missing, unseen.
        self._look_below = max(window - min(LOOK_BYTES, whole // 4), (whole + 1) // 2)

    def _start_window(self) -> int:
        path = self.path
        room_bytes = path.window_room_bytes(to_start=True)
        return start_window_bytes(self._base_window, round_trip_s=path.round_trip_s, room_bytes=room_bytes)

    def _resize(self, window: int) -> None:
        self.path.take_window_bytes(window - self._init_recv_window)
        self._init_recv_window = window

    def _announce(self, missing: int) -> None:
        self._recv_window += missing
        self.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(missing))

    def _cleanup(self, exc: Exception | None = None) -> None:
        self._resize(self._base_window)
        super()._cleanup(exc)

    # -- sending -------------------------------------------------------------------------------------------------

    def write(self, data: bytes, datatype: int | None = None) -> None:
        """As asyncssh's, which does it where something waits already, or must, and keeps what is beyond the window.

        Nothing is called back before all pieces are sealed: what a session writes when it is told to pause must not
        come between them.
        """
        path, window = self.path, self._send_window
        if (
            datatype is not None
            or self._send_state != "open"
            or self._send_buf
            or self._encoding is not None
            or not window
            or not data
            or not path.may_send()
        ):
            super().write(data, datatype)
            return
        number = self._send_chan.to_bytes(4, "big")  # type: ignore[union-attr]  # an open channel has one
        size, piece_max = len(data), self._send_pktsize
        if size <= window and size <= piece_max:
            self._send_window = window - size
            path.put_data(number, data)
            path.settle()
            return
        view, start, fits = memoryview(data), 0, min(size, window)
        while start < fits and path.may_send():  # a re-key may become due in between
            piece = view[start : min(start + piece_max, fits)]
            self._send_window -= len(piece)
            path.put_data(number, piece)
            start += len(piece)
        if start < size:
            super().write(bytes(view[start:]))
        path.settle()
