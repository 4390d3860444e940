"""The channels of one tunnel: some kept open and idle, the others opened when they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import asyncssh

from agent.forward.pool import WRITE_IDLE_MAX_S, WRITE_USES_MAX
from agent.server.channels import UpstreamChannel
from agent.streams import ByteSession


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """``channels_max`` open at a time per tunnel, at least ``warm_min`` idle ones once the tunnel has been used."""

    channels_max: int = 256
    idle_max: int = 32
    warm_min: int = 2


class ChannelPool:
    """The channels of one tunnel.

    Warm channels are open and idle, so that a request costs one round trip of the tunnel and not two.
    ``open_channel`` opens one channel for a ``ByteSession``, or raises ``asyncssh.ChannelOpenError``; ``spawn`` runs a
    task that belongs to the gateway; ``load`` is told how many channels are busy, ``on_free`` that one may be taken or
    opened again. ``plain``: there is no agent at the other end. ``round_trip`` gives the seconds that a message to the
    other end and back takes now, None where nobody measures it.
    """

    def __init__(
        self,
        open_channel: Callable[[ByteSession], Awaitable[None]],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        *,
        nonce: bytes = b"",
        plain: bool = False,
        limits: ChannelLimits | None = None,
        load: Callable[[int], None] = lambda _busy: None,
        on_free: Callable[[], None] = lambda: None,
        round_trip: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._open_channel = open_channel
        self._nonce = nonce
        self._plain = plain
        self._load = load
        self._on_free = on_free
        self._spawn = spawn
        self._limits = limits or ChannelLimits()
        # Behind plain ssh a channel is a store connection, which web servers close when no request comes.
        self._warm_min = 0 if plain else self._limits.warm_min
        self._idle: list[UpstreamChannel] = []
        self._all: set[UpstreamChannel] = set()
        self._opening = 0
        self._warming = 0
        self._closed = False
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

    def take(self, *, for_write: bool = False) -> UpstreamChannel | None:
        """A warm channel, the one used last first; None when one must be opened.

        Behind plain ssh a write takes none that the store may be about to close (an agent sees to that itself).
        """
        idle = self._idle
        channel = idle.pop() if idle else None
        if for_write and self._plain:
            while channel is not None and self._is_worn(channel):
                channel.abort()
                channel = idle.pop() if idle else None
        if len(idle) < self._warm_min:
            self._warm()
        self._load(self.busy_count)
        return channel

    async def open(self) -> UpstreamChannel:
        """Open a further channel. Raises ``ConnectionError`` when the tunnel refuses, is gone or has too many."""
        if self._closed or self.is_full:
            raise ConnectionError("no more channels on this tunnel")
        channel = UpstreamChannel(self, self._nonce, plain=self._plain)
        self._opening += 1
        try:
            await self._open_channel(channel)
        except asyncssh.ChannelOpenError as error:
            raise ConnectionError(f"the channel was refused, code {error.code}") from None
        finally:
            self._opening -= 1
        if channel.closed or self._closed:
            channel.abort()
            raise ConnectionError("the tunnel went away while a channel was opened")
        self._all.add(channel)
        self._load(self.busy_count)
        return channel

    def give_back(self, channel: UpstreamChannel) -> None:
        """A clean exchange is over."""
        if self._closed or len(self._idle) >= self._limits.idle_max:
            channel.abort()
        else:
            channel.idle_since = self._loop.time()
            self._idle.append(channel)
            self._load(self.busy_count)
            self._on_free()

    def forget(self, channel: UpstreamChannel) -> None:
        """The channel is gone."""
        if channel in self._idle:
            self._idle.remove(channel)
        if channel in self._all:  # else who waits would ask a tunnel that gives none again and again
            self._all.discard(channel)
            self._on_free()
        self._load(self.busy_count)

    def close(self) -> None:
        """The tunnel is gone: exchanges are told by their channels."""
        self._closed = True
        idle, self._idle = self._idle, []
        for channel in idle:
            channel.abort()

    def _is_worn(self, channel: UpstreamChannel) -> bool:
        idle_s = self._loop.time() - channel.idle_since
        return idle_s > WRITE_IDLE_MAX_S or channel.uses >= WRITE_USES_MAX

    def _warm(self) -> None:
        if self._closed:
            return
        wanted = self._warm_min - len(self._idle) - self._warming
        for _ in range(wanted):
            if len(self._all) + self._opening + self._warming >= self._limits.channels_max:
                return
            self._warming += 1
            self._spawn(self._open_warm(), "gateway.warm")

    async def _open_warm(self) -> None:
        try:
            channel = await self.open()
        except ConnectionError:
            return  # the next exchange opens its own, or finds out what is wrong
        finally:
            self._warming -= 1
        self.give_back(channel)
