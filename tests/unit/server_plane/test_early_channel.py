"""A channel that is opened before anybody wants it: who gets it, and what spoils it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import asyncssh
import pytest

from agent.server.early_channel import EarlyChannel
from agent.streams import ByteSession
from agent.tunnel.channel import ChannelSession
from agent.tunnel.flow import LinkFlow
from tests.kit.memory_channel import MemoryChannel


class Opened(MemoryChannel):
    """A memory channel with what ``ChannelSession`` looks at in asyncssh's."""

    _send_pktsize = 1 << 15
    _send_window = 1 << 16

    def _flush_recv_buf(self, exc: Exception | None = None) -> None:
        """Nothing is held back."""


class Flow:
    def add(self, session: object) -> None:
        """Not of interest here."""

    remove = add


class Way:
    """Opens channels when it is told to."""

    def __init__(self) -> None:
        self.may_open = asyncio.Event()
        self.refuses = False
        self.session: ChannelSession
        self.channel: Opened

    async def open(self, session: ByteSession) -> ChannelSession:
        try:
            await self.may_open.wait()
        except asyncio.CancelledError:
            self.refuses = True
            raise
        if self.refuses:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "no")
        self.session = ChannelSession(session, cast(LinkFlow, Flow()))
        self.channel = Opened(session)
        self.session.connection_made(cast(Any, self.channel))
        return self.session


class User:
    def __init__(self) -> None:
        self.told: list[object] = []

    def connection_made(self, channel: object) -> None:
        self.told.append(channel)

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> None:
        self.told.append("eof")

    def connection_lost(self, error: Exception | None) -> None:
        self.told.append("lost")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


@pytest.mark.parametrize("is_full", [False, True])
async def test_who_takes_it_is_told_everything_from_then_on(is_full: bool) -> None:
    way, user = Way(), User()
    early = EarlyChannel(way.open)
    way.may_open.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if is_full:
        way.session.pause_link()
    assert await early.hand_to(user)
    way.session.data_received(b"answer")
    way.session.connection_lost(None)
    assert user.told == [way.channel, *(["pause"] if is_full else []), b"answer", "lost"]


async def test_who_asks_before_it_is_open_waits_for_it() -> None:
    way, user = Way(), User()
    asking = asyncio.create_task(EarlyChannel(way.open).hand_to(user))
    await asyncio.sleep(0)
    way.may_open.set()
    assert await asyncio.wait_for(asking, 5)
    assert user.told == [way.channel]


@pytest.mark.parametrize("event", ["data", "eof", "lost", "refused"])
async def test_one_that_is_of_no_use_is_handed_to_nobody(event: str) -> None:
    way, user = Way(), User()
    way.refuses = event == "refused"
    early = EarlyChannel(way.open)
    way.may_open.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if event == "data":
        way.session.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    elif event == "eof":
        way.session.eof_received()
    elif event == "lost":
        way.session.connection_lost(None)
    assert not await early.hand_to(user)
    assert user.told == []
    assert event not in ("data", "eof") or way.channel.aborted


async def test_who_is_told_to_stop_while_it_waits_ends_the_opening() -> None:
    way = Way()
    asking = asyncio.create_task(EarlyChannel(way.open).hand_to(User()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert way.refuses, "it was told"


async def test_who_is_told_to_stop_in_the_turn_in_which_it_opens_leaves_none_behind() -> None:
    way, user = Way(), User()
    early = EarlyChannel(way.open)
    asking = asyncio.create_task(early.hand_to(user))
    early._opening.add_done_callback(lambda _: asking.cancel())
    await asyncio.sleep(0)
    way.may_open.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)
    assert (user.told, way.channel.aborted) == ([], True)
