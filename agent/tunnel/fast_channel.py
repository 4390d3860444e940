"""A forwarded channel whose data goes straight into packets of the fast path while the peer's window has room."""

from __future__ import annotations

from typing import Protocol

from asyncssh.channel import SSHTCPChannel


class PacketPath(Protocol):
    """What a channel needs of its connection's fast path."""

    def may_send(self) -> bool:
        """True when the next packet may be sealed there."""

    def put(self, *payload: bytes | memoryview) -> None:
        """Seal one packet, to be written with the others of this turn; calls nobody."""

    def settle(self) -> None:
        """Write what was put, when it is much; the transport may then pause its sources."""


class FastChannel(SSHTCPChannel[bytes]):
    """asyncssh's channel, but for ``write``."""

    path: PacketPath

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
            path.put(b"\x5e", number, size.to_bytes(4, "big"), data)
            path.settle()
            return
        view, start, fits = memoryview(data), 0, min(size, window)
        while start < fits and path.may_send():  # a re-key may become due in between
            piece = view[start : min(start + piece_max, fits)]
            self._send_window -= len(piece)
            path.put(b"\x5e", number, len(piece).to_bytes(4, "big"), piece)
            start += len(piece)
        if start < size:
            super().write(bytes(view[start:]))
        path.settle()
