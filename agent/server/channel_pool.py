"""The channels of one tunnel: some kept open and idle, the others opened when they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import asyncssh
import structlog

from agent.forward.pool import WRITE_IDLE_MAX_S, WRITE_USES_MAX
from agent.server.channel_limits import CLOSED_MAX, OPEN_TIMEOUT_S, TIDY_EVERY_S, WARMING_MAX, ChannelLimits
from agent.server.channel_queue import ChannelQueue
from agent.server.channels import UpstreamChannel
from agent.server.demand import Carrier, Demand, Uncompared
from agent.streams import ByteSession

_GONE = "the tunnel went away while a channel was opened"

_LOG = structlog.get_logger()


class ChannelPool:
    """The channels of one tunnel.

    Warm channels are open and idle, so that a request costs one round trip of the tunnel and not two.
    ``open_channel`` opens one channel for a ``ByteSession``, or raises ``asyncssh.ChannelOpenError``; ``spawn`` runs a
    task that belongs to the gateway. ``carrier`` has the number of exchanges that have a channel or wait for one;
    ``on_free`` is called when one may be taken or opened again after somebody was sent away. ``plain``: there is no
    agent at the other end. ``round_trip`` gives the seconds that a message to the other end and back takes now, None
    where nobody measures it. ``demand`` tells for how many exchanges channels are worth keeping.
    """

    def __init__(
        self,
        open_channel: Callable[[ByteSession], Awaitable[None]],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        *,
        nonce: bytes = b"",
        plain: bool = False,
        limits: ChannelLimits | None = None,
        carrier: Carrier | None = None,
        demand: Demand | None = None,
        on_free: Callable[[], None] = lambda: None,
        round_trip: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._open_channel = open_channel
        self._nonce = nonce
        self._plain = plain
        self._carrier: Carrier = carrier or Uncompared()
        self._demand = demand or Demand()
        self._on_free = on_free
        self._spawn = spawn
        self._limits = limits or ChannelLimits()
        # Behind plain ssh a channel is a store connection, which web servers close when no request comes.
        self._warm_min = 0 if plain else self._limits.warm_min
        self._spare = self._warm_min  # so many idle ones there shall be beside those in use
        self._aim = 0  # and so many altogether, while a new tunnel is prepared
        self._idle: list[UpstreamChannel] = []
        self._all: set[UpstreamChannel] = set()
        self._waiting = ChannelQueue()
        self._opening = 0
        self._peak = 0  # of in_flight, since the last tidying
        self._missed = False
        self._closed = False
        self._tidying: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()  # asking for it each time is a system call (getpid) in CPython 3.11
        self.round_trip = round_trip

    def __repr__(self) -> str:
        return f"<ChannelPool {len(self._idle)} idle of {len(self._all)}, {self._opening} opening>"

    @property
    def busy_count(self) -> int:
        """Channels that carry an exchange."""
        return len(self._all) - len(self._idle)

    @property
    def idle_count(self) -> int:
        """Warm channels."""
        return len(self._idle)

    @property
    def is_full(self) -> bool:
        """As many channels as may be are open or being opened."""
        return len(self._all) + self._opening >= self._limits.channels_max

    # -- for exchanges -------------------------------------------------------------------------------------------

    def take(self, *, for_write: bool = False) -> UpstreamChannel | None:
        """A warm channel, the one used last first; None when one must be opened. The hot path.

        Behind plain ssh a write takes none that the store may be about to close (an agent sees to that itself).
        """
        idle = self._idle
        if for_write and self._plain:
            self._drop_worn()
        channel = None
        if idle:
            channel = idle.pop()
            carrier = self._carrier
            carrier.in_flight += 1
            if carrier.in_flight > self._peak:
                self._peak = carrier.in_flight
        if len(idle) < self._warm_min:
            self._run_low()
        return channel

    async def open(self) -> UpstreamChannel:
        """A further channel, or one that becomes free before that is open: whichever is first.

        Raises ``ConnectionError`` when the tunnel refuses, is gone or has too many.
        """
        while True:
            channel = await self._next()
            if self._closed:
                channel.abort()
                raise ConnectionError(_GONE)
            if not channel.closed:  # else it ended between being handed over and now: nothing was sent
                return channel

    def give_back(self, channel: UpstreamChannel) -> None:
        """A clean exchange is over. The hot path."""
        if self._closed:
            channel.abort()
            return
        self._carrier.in_flight -= 1
        if self._waiting and not self._plain:  # there it may be worn, and who waits may be a write
            self._place(channel)
            return
        channel.idle_since = self._loop.time()
        self._idle.append(channel)
        if self._missed:
            self._tell_free()

    def forget(self, channel: UpstreamChannel) -> None:
        """The channel is gone."""
        if channel not in self._all:  # who waits would ask a tunnel that gives none again and again
            return
        self._all.discard(channel)
        if channel in self._idle:
            self._idle.remove(channel)
        else:
            self._carrier.in_flight -= 1
        if self._missed:
            self._tell_free()

    # -- for the tunnel ------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """The tunnel is new: open channels for what recent demand will bring back.

        For an agent that nobody has used yet, one: there may be thousands of those, and its first request opens more.
        """
        self._spare = self._warm_min if self._demand.is_known else min(self._warm_min, 1)
        if self._spare:
            self._aim = min(self._demand.channels(self._loop.time()), self._limits.kept_max)
            self._open_more()

    def retire(self, *, is_draining: bool) -> None:
        """The tunnel is about to go: open nothing ahead of need; draining, let those that wait look elsewhere."""
        self._warm_min = self._spare = self._aim = 0
        while is_draining and self._waiting:
            self._waiting.refuse(ConnectionError("the tunnel drains"))

    def close(self) -> None:
        """The tunnel is gone: exchanges are told by their channels."""
        self._closed = True
        self._demand.note(self._peak, self._loop.time())
        if self._tidying is not None:
            self._tidying.cancel()
        self._let_go(len(self._idle))
        while self._waiting:
            self._waiting.refuse(ConnectionError(_GONE))

    def tidy(self) -> None:
        """Close some of the channels, the oldest, that recent demand does not speak for any more.

        Never in the hot path, and few at a time: who closes too early opens again.
        """
        now = self._loop.time()
        in_flight = self._carrier.in_flight
        self._demand.note(self._peak, now)
        self._peak = in_flight
        kept = min(self._demand.channels(now), self._limits.kept_max) + self._spare
        surplus = len(self._idle) - max(kept - in_flight, self._spare)
        self._let_go(min(surplus, CLOSED_MAX))
        self._tidying = None
        self._tidy_later()

    # -- inside --------------------------------------------------------------------------------------------------

    async def _next(self) -> UpstreamChannel:
        if self._closed or (self.is_full and self._opening <= len(self._waiting)):
            self._missed = True
            raise ConnectionError("no more channels on this tunnel")
        waiter: asyncio.Future[UpstreamChannel] = self._loop.create_future()
        self._waiting.append(waiter)
        self._carrier.in_flight += 1  # from now on: else a burst would go to one tunnel as a whole
        self._peak = max(self._peak, self._carrier.in_flight)
        self._open_more()
        try:
            return await waiter
        except BaseException:  # cancelled, too: a channel that was handed over in this moment must not be lost
            channel = self._waiting.leave(waiter)
            if channel is None:
                self._carrier.in_flight -= 1
            elif not channel.closed:
                self.give_back(channel)
            raise

    def _run_low(self) -> None:
        self._spare = self._warm_min
        self._open_more()

    def _open_more(self) -> None:
        """Open a channel for each that waits, beside what is being opened already, and a few to spare."""
        waiting = len(self._waiting)
        spare = max(self._spare - len(self._idle), self._aim - len(self._all) - waiting)
        wanted = waiting + max(min(spare, WARMING_MAX), 0)
        while self._opening < wanted and not self.is_full and not self._closed:
            self._opening += 1
            self._spawn(self._open_one(), "gateway.open-channel")

    async def _open_one(self) -> None:
        channel = UpstreamChannel(self, self._nonce, plain=self._plain)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._open_channel(channel)
        except asyncssh.ChannelOpenError as error:
            self._opened_none(ConnectionError(f"the channel was refused, code {error.code}"))
        except TimeoutError:
            self._opened_none(ConnectionError("the channel was not answered"))
        except asyncio.CancelledError:
            self._opened_none(ConnectionError("this server leaves"))
            raise
        except Exception as error:  # noqa: BLE001 - a defect, for whoever waits; nobody waits for this task
            self._opened_none(error)
        else:
            if channel.closed or self._closed:
                channel.abort()
                self._opened_none(ConnectionError("the channel was closed at once"))
            else:
                self._opened(channel)

    def _opened(self, channel: UpstreamChannel) -> None:
        self._opening -= 1
        self._all.add(channel)
        self._place(channel)
        if len(self._all) >= self._aim:
            self._aim = 0
        self._open_more()
        self._tidy_later()

    def _opened_none(self, error: Exception) -> None:
        """Tell one of those that wait, if there are more of them now than channels to come."""
        self._opening -= 1
        self._aim = 0  # the next exchange finds out what is wrong
        if len(self._waiting) > self._opening:
            self._missed = True
            self._waiting.refuse(error)
        elif not isinstance(error, ConnectionError):
            _LOG.error("gateway.warm_failed", error=type(error).__name__, exc_info=error)

    def _place(self, channel: UpstreamChannel) -> None:
        """To who waits, else to the idle ones."""
        if self._waiting.hand_over(channel):
            return
        channel.idle_since = self._loop.time()
        self._idle.append(channel)
        if self._missed:
            self._tell_free()

    def _tell_free(self) -> None:
        self._missed = False
        self._on_free()

    def _drop_worn(self) -> None:
        while self._idle and self._is_worn(self._idle[-1]):
            self._idle[-1].abort()

    def _is_worn(self, channel: UpstreamChannel) -> bool:
        idle_s = self._loop.time() - channel.idle_since
        return idle_s > WRITE_IDLE_MAX_S or channel.uses >= WRITE_USES_MAX

    def _let_go(self, count: int) -> None:
        """Close the ``count`` that are idle longest."""
        count = max(count, 0)
        going, self._idle[:count] = self._idle[:count], []
        for channel in going:
            self._all.discard(channel)
            channel.abort()

    def _tidy_later(self) -> None:
        """While there are more than the few that always stay."""
        if self._tidying is None and not self._closed and len(self._all) > self._spare:
            self._tidying = self._loop.call_later(TIDY_EVERY_S, self.tidy)
