"""The two faces of a byte stream, so that forwarding runs over SSH channels and in memory alike. Types only."""

from __future__ import annotations

from typing import Protocol


class ByteChannel(Protocol):
    """What one writes to. ``asyncssh.SSHTCPChannel`` and the in-memory pipe of Cloud mode have this shape."""

    def write(self, data: bytes) -> None:
        """Send bytes; never blocks. The other face is told ``pause_writing`` when too much is waiting."""

    def write_eof(self) -> None:
        """Say that no more bytes follow; reading goes on."""

    def close(self) -> None:
        """Flush, then end both directions."""

    def abort(self) -> None:
        """End at once, dropping what waits."""

    def pause_reading(self) -> None:
        """Stop ``data_received``; what is in flight is held back by the window."""

    def resume_reading(self) -> None:
        """Let ``data_received`` go on."""


class ByteSession(Protocol):
    """What is told about one channel. All methods are called in the event loop and must not raise."""

    def connection_made(self, channel: ByteChannel) -> None:
        """The channel is open."""

    def data_received(self, data: bytes) -> None:
        """Bytes have come; never empty."""

    def eof_received(self) -> None:
        """The peer writes no more; the channel stays open until one side closes it."""

    def connection_lost(self, error: Exception | None) -> None:
        """The channel is gone; called once, last. ``None`` does not mean that all went well."""

    def pause_writing(self) -> None:
        """Too much waits to be sent: stop the source."""

    def resume_writing(self) -> None:
        """The source may go on."""
