"""One connection to a store: carries exchanges one after another and tells the running one what comes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from agent.joined_writes import JoinedWrites


class OriginUser(Protocol):
    """The exchange that uses a connection to the store at this moment."""

    def origin_data(self, data: bytes) -> None:
        """Bytes of the answer."""

    def origin_eof(self) -> None:
        """The store writes no more."""

    def origin_lost(self, error: Exception | None) -> None:
        """The connection is gone."""

    def origin_pause_writing(self) -> None:
        """The store takes no more for now."""

    def origin_resume_writing(self) -> None:
        """The store takes bytes again."""


class OriginConnection(asyncio.Protocol):
    """A connection to a store.

    ``uses`` counts the exchanges it was taken for, ``idle_since`` is the loop's time of its last return to the pool,
    ``full`` says that the store takes no more bytes for now.
    """

    def __init__(self, gone: Callable[[OriginConnection], None]) -> None:
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._out: JoinedWrites  # set by connection_made, before which nobody has it
        self._paused = False
        self.user: OriginUser | None = None
        self.uses = 0
        self.idle_since = 0.0
        self.full = False
        self.closed = False

    def __repr__(self) -> str:
        state = "closed" if self.closed else "busy" if self.user is not None else "idle"
        return f"<OriginConnection {state} uses={self.uses}>"

    # -- what the exchange does ----------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes of the request."""
        if not self.closed:
            self._out.write(data)

    def settle(self) -> None:
        """Hand all that was written to the transport, which then says by ``full`` whether it was too much."""
        self._out.flush()

    def pause_reading(self) -> None:
        """Hold the answer back; the store feels it by TCP. Idempotent."""
        if not self._paused and self._transport is not None and not self.closed:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the answer come. Idempotent."""
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once."""
        self.closed = True
        self.user = None
        if self._transport is not None:
            self._transport.abort()

    # -- what the loop says --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, and TLS is done where it is asked for."""
        self._transport = cast(asyncio.Transport, transport)
        self._out = JoinedWrites(self._transport)

    def data_received(self, data: bytes) -> None:
        """Bytes from the store. Without an exchange nobody asked for them, and nothing after them can be trusted."""
        if self.user is None:
            self.abort()
            return
        self.user.origin_data(data)

    def eof_received(self) -> bool:
        """The store closes; an idle connection goes, a running exchange decides."""
        if self.user is not None:
            if self._is_torn():
                self.user.origin_lost(None)
            else:
                self.user.origin_eof()
        else:
            self.closed = True  # connection_lost comes a turn of the loop later; nobody may take it until then
        return False

    def _is_torn(self) -> bool:
        """Did TLS end without a close_notify? Then anyone on the way may have cut the answer (RFC 9112 9.8).

        uvloop reports that as a loss, asyncio as an end like any other. OpenSSL gives no byte after a close_notify and
        asks for more without one.
        """
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        if tls is None:
            return False
        try:
            return bool(tls.read(1))
        except ssl.SSLError:
            return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the exchange, then the pool."""
        self.closed = True
        user, self.user = self.user, None
        if user is not None:
            user.origin_lost(exc)
        self._gone(self)

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self.full = True
        if self.user is not None:
            self.user.origin_pause_writing()

    def resume_writing(self) -> None:
        """The socket's buffer has room."""
        self.full = False
        if self.user is not None:
            self.user.origin_resume_writing()
