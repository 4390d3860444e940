"""A channel that keeps what is written, and holds back what comes as asyncssh does.

While reading is paused incoming bytes wait; ``resume_reading`` delivers them before it returns.
"""

from __future__ import annotations

import asyncio

from agent.streams import ByteSession


class MemoryChannel:
    """The near end of a channel (a ``ByteChannel``); a test plays the far end by ``deliver`` and ``written``."""

    def __init__(self, session: ByteSession) -> None:
        self._session = session
        self._incoming: list[bytes] = []
        self.written = bytearray()
        self.paused = False
        self.eof = False
        self.closed = False
        self.aborted = False
        self.wrote = asyncio.Event()

    def deliver(self, data: bytes) -> None:
        """Bytes of the far end arrive."""
        if self.closed or self.aborted:
            return
        self._incoming.append(data)
        self._flush()

    def lose(self) -> None:
        """The channel is gone."""
        self._session.connection_lost(None)

    def write(self, data: bytes) -> None:
        assert not self.closed, "written to a closed channel"
        self.written += data
        self.wrote.set()

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        self.closed = True
        self._incoming.clear()

    def abort(self) -> None:
        self.aborted = True
        self._incoming.clear()

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        self._flush()

    async def written_until(self, ending: bytes) -> bytes:
        """Wait until what was written ends so."""
        async with asyncio.timeout(5):
            while not self.written.endswith(ending):
                self.wrote.clear()
                await self.wrote.wait()
        return bytes(self.written)

    def _flush(self) -> None:
        while self._incoming and not self.paused:
            self._session.data_received(self._incoming.pop(0))
