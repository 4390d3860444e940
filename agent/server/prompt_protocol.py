"""uvicorn's HTTP/1.1 with limits on how long a request may take to arrive, and an answer to be read, which it lacks.

Without them whoever opens as many connections as are allowed, and says or reads nothing on them, keeps everybody else
out.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_ARRIVING: Final = (h11.IDLE, h11.SEND_BODY)


class PromptProtocol(H11Protocol):
    """One connection; a request must be whole ``whole_request_s`` after the connection, or after its first byte.

    A body that is not read (a request that was refused) must end within that time, too. Of an answer that waits to be
    read some must go within ``stall_s``.
    """

    def __init__(self, *given: Any, whole_request_s: float, stall_s: float, **more: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*given, **more)
        self._whole_request_s = whole_request_s
        self._stall_s = stall_s
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        super().connection_made(transport)  # type: ignore[arg-type] # uvicorn says Transport, as do we mean
        self._watch()

    def data_received(self, data: bytes) -> None:
        """The request is whole, or has begun."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        super().connection_lost(exc)
        self._forget()
        self._moves()

    def pause_writing(self) -> None:
        """The other side does not read as fast as it is answered."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self._stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        self._moves()

    def _moves(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _watch(self) -> None:
        if self.conn.their_state not in _ARRIVING:
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self._whole_request_s, self._too_slow)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.conn.their_state in _ARRIVING:
            self.transport.abort()
