"""The connections to one store: which may be used again, and for what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from agent.errors import ConnectionBusy, ExchangeError, StoreUnreachable
from agent.forward.dialer import Dialer
from agent.forward.origin import OriginConnection

# PHP hosts close idle connections after 5 s and after 100 requests: a write that meets such a close is lost with an
# unknown outcome, so it keeps away from both by a margin. A read is simply sent again.
WRITE_IDLE_MAX_S: Final = 3.0
WRITE_USES_MAX: Final = 90

_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """``connections_max`` at a time; an idle one is kept for ``idle_max_s`` seconds."""

    connections_max: int = 100
    idle_max_s: float = 60.0


class OriginPool:
    """Connections to one store. Every change of state is in one of the synchronous methods."""

    def __init__(self, dialer: Dialer, limits: PoolLimits | None = None) -> None:
        self._dialer = dialer
        self._limits = limits or PoolLimits()
        self._idle: list[OriginConnection] = []
        self._all: set[OriginConnection] = set()
        self._dialing = 0
        self._closed = False
        self._reaper: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<OriginPool {len(self._idle)} idle of {len(self._all)}, {self._dialing} being opened>"

    @property
    def open_count(self) -> int:
        """Connections open or being opened."""
        return len(self._all) + self._dialing

    @property
    def idle_count(self) -> int:
        """Connections that wait for an exchange."""
        return len(self._idle)

    def take_idle(self, now: float, *, for_write: bool) -> OriginConnection | None:
        """A connection that is open and may be used, the one used last first; None when one must be dialed."""
        self._drop_stale(now)
        idle = self._idle
        for index in range(len(idle) - 1, -1, -1):
            connection = idle[index]
            if connection.closed:
                continue  # its connection_lost, which takes it out, is on the way
            if for_write and (now - connection.idle_since > WRITE_IDLE_MAX_S or connection.uses >= WRITE_USES_MAX):
                continue
            del idle[index]
            connection.uses += 1
            return connection
        return None

    async def dial(self) -> OriginConnection:
        """Open a further connection.

        Raises ``ConnectionBusy`` at the limit, ``StoreUnreachable`` and ``StoreTlsFailed`` when it cannot be made.
        """
        if self.open_count >= self._limits.connections_max:
            if not self._idle:
                raise ConnectionBusy(f"The agent has {self._limits.connections_max} connections to this store in use.")
            self._idle.pop(0).abort()
        self._dialing += 1
        try:
            connection = await self._dialer.dial(lambda: OriginConnection(self._forget))
        except ExchangeError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect: the exchange has no limit of its own while it dials
            _LOG.error("store.dial_failed", kind=type(error).__name__)  # no more: its text may hold anything
            raise StoreUnreachable("The connection could not be made, by a defect; see the log.") from None
        finally:
            self._dialing -= 1
        if connection.closed:
            raise StoreUnreachable("The store closed a new connection at once.", proxy_error="connection_terminated")
        self._all.add(connection)
        connection.uses = 1
        return connection

    def give_back(self, connection: OriginConnection, now: float) -> None:
        """A clean exchange is over: keep the connection for the next."""
        connection.user = None
        connection.settle()
        # Full: the store answered and left a body unread. What it will make of the rest is anyone's guess, and the
        # transport will not say a second time that it is full.
        if self._closed or connection.closed or connection.full:
            connection.abort()
            return
        connection.resume_reading()
        connection.idle_since = now
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = asyncio.get_running_loop().call_later(self._limits.idle_max_s, self._reap)

    def close(self) -> None:
        """Close what is idle and keep nothing from now on."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abort()

    def _forget(self, connection: OriginConnection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _reap(self) -> None:
        """Without a next exchange nobody else would let go of what is idle."""
        self._reaper = None
        loop = asyncio.get_running_loop()
        self._drop_stale(loop.time())
        if self._idle:
            self._reaper = loop.call_at(self._idle[0].idle_since + self._limits.idle_max_s, self._reap)

    def _drop_stale(self, now: float) -> None:
        # The oldest stand first, since connections are appended when they come back.
        while self._idle and now - self._idle[0].idle_since >= self._limits.idle_max_s:
            self._idle.pop(0).abort()
