"""A channel that is opened while an agent still says hello, so that its tunnel has one from the first moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncssh

from agent.streams import ByteChannel, ByteSession
from agent.tunnel.channel import ChannelSession


class EarlyChannel:
    """Begins to open when it is made; whoever wants a channel first gets it.

    Nothing is sent through it before: it is of no use to an agent that is turned away then.
    """

    def __init__(self, open_channel: Callable[[ByteSession], Awaitable[ChannelSession]]) -> None:
        self._nobody = _Nobody()
        self._opening = asyncio.create_task(self._open(open_channel), name="early-channel")

    def __repr__(self) -> str:
        return f"<EarlyChannel {'opened' if self._opening.done() else 'opening'}>"

    async def hand_to(self, session: ByteSession) -> bool:
        """Wait until it is open and give it to ``session``, once; False when it cannot be had.

        When the caller is cancelled meanwhile it is closed as soon as it opens.
        """
        try:
            channel = await asyncio.shield(self._opening)
        except asyncio.CancelledError:
            self._opening.add_done_callback(_abandon)  # at once, where it is done
            self._opening.cancel()
            raise
        if channel is None:
            return False
        if self._nobody.was_told:
            channel.abandon()
            return False
        channel.pass_on(session)
        return True

    async def _open(self, open_channel: Callable[[ByteSession], Awaitable[ChannelSession]]) -> ChannelSession | None:
        try:
            return await open_channel(self._nobody)
        except asyncssh.ChannelOpenError:
            return None  # who opens the next one finds out what is wrong


def _abandon(opening: asyncio.Task[ChannelSession | None]) -> None:
    channel = opening.result() if not opening.cancelled() else None
    if channel is not None:
        channel.abandon()


class _Nobody:
    """Holds the channel until it has a user; whatever the agent says on it meanwhile spoils it."""

    def __init__(self) -> None:
        self.was_told = False
        self._channel: ByteChannel | None = None

    def connection_made(self, channel: ByteChannel) -> None:
        self._channel = channel

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - part of the protocol
        self._spoil()

    def eof_received(self) -> None:
        self._spoil()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - part of the protocol
        self.was_told = True

    def pause_writing(self) -> None:
        """``pass_on`` says it again."""

    def resume_writing(self) -> None:
        """As above."""

    def _spoil(self) -> None:
        self.was_told = True
        if self._channel is not None:
            self._channel.abort()
