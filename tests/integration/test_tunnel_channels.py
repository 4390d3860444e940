"""Channels of a tunnel: an error in one ends that one, and what is refused or cancelled leaves nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncssh
import pytest
from structlog.testing import capture_logs

from agent.streams import ByteChannel, ByteSession
from agent.tunnel.state import State
from agent.tunnel.token import AccessToken
from tests.kit.link_relay import LinkRelay
from tests.kit.ssh_servers import (
    AGENT_ID,
    LOOPBACK,
    CollectingSession,
    EchoSession,
    TunnelServer,
)
from tests.kit.tunnel_agent import FAST, agent, echo, in_state
from tests.kit.until import until


@pytest.mark.parametrize("writer", ["agent", "server"])
async def test_after_a_half_close_the_other_direction_stays_open(server: TunnelServer, writer: str) -> None:
    """asyncssh would answer an EOF with its own, and cut an answer whose request is complete."""
    far = CollectingSession()
    async with agent(server.token(server.agents.add()), sessions=lambda nonce: far):
        (tunnel,) = await server.wait_tunnels(1)
        near = CollectingSession()
        await tunnel.open_channel(near)
        await far.opened.wait()
        asks, answers = (near, far) if writer == "agent" else (far, near)
        asks.channel.write_eof()
        await answers.eof.wait()
        for _ in range(3):
            answers.channel.write(b"late answer ")
        assert await asks.wait_bytes(36) == b"late answer " * 3
        assert not asks.eof.is_set()
        answers.channel.close()
        await asks.lost.wait()


class FailingSession(EchoSession):
    """Raises in one of its callbacks."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def _maybe(self, name: str) -> None:
        if name == self.where:
            raise ValueError("secret bytes of a customer")

    def connection_made(self, channel: ByteChannel) -> None:
        self._maybe("connection_made")
        super().connection_made(channel)

    def data_received(self, data: bytes) -> None:
        self._maybe("data_received")

    def eof_received(self) -> None:
        self._maybe("eof_received")

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._maybe("connection_lost")


@pytest.mark.parametrize("side", ["agent", "server"])
@pytest.mark.parametrize("where", ["connection_made", "data_received", "eof_received", "connection_lost"])
async def test_an_exception_in_a_session_ends_its_channel_and_nothing_else(
    server: TunnelServer, where: str, side: str
) -> None:
    failing = FailingSession(where)
    made: list[ByteSession] = []

    def sessions(nonce: bytes) -> ByteSession:
        made.append(EchoSession() if side == "server" or not made else failing)
        return made[-1]

    with capture_logs() as events:
        async with agent(server.token(server.agents.add()), sessions=sessions) as supervisor:
            (tunnel,) = await server.wait_tunnels(1)
            good = CollectingSession()
            await tunnel.open_channel(good)
            await good.opened.wait()
            other = CollectingSession()
            bad: ByteSession = other if side == "agent" else failing
            await tunnel.open_channel(bad)
            channel = other.channel if side == "agent" else getattr(failing, "channel", None)
            if channel is not None and where != "connection_made":
                channel.write(b"x")
                channel.write_eof()
                if where == "connection_lost":
                    channel.close()
            await until(lambda: any(event["event"] == "channel.failed" for event in events))
            good.channel.write(b"alive")
            assert await good.wait_bytes(5) == b"alive"
            assert server.registry.tunnels(AGENT_ID) == (tunnel,)
            assert supervisor.is_ready
            if side == "agent":
                await other.lost.wait()
            assert failing.lost, "a session that failed is still told that its channel is gone"
    failed = [event for event in events if event["event"] == "channel.failed"]
    assert failed[0]["error"] == "ValueError"
    assert "customer" not in str(events)


async def test_a_session_factory_that_fails_refuses_its_channel(server: TunnelServer) -> None:
    is_failing = False

    def sessions(nonce: bytes) -> ByteSession:
        if is_failing:
            raise KeyError("x")
        return EchoSession()

    async with agent(server.token(server.agents.add()), sessions=sessions):
        (tunnel,) = await server.wait_tunnels(1)
        await tunnel.open_channel(CollectingSession())  # which was opened early
        for _ in range(10):
            is_failing = True
            with pytest.raises(asyncssh.ChannelOpenError):
                await tunnel.open_channel(CollectingSession())
            is_failing = False
            session = CollectingSession()
            await tunnel.open_channel(session)
            session.channel.close()
            await session.lost.wait()


async def test_a_server_cannot_open_channels_without_end(server: TunnelServer) -> None:
    async with agent(server.token(server.agents.add()), replace(FAST, channels_max=3)) as supervisor:
        (tunnel,) = await server.wait_tunnels(1)
        sessions = [CollectingSession() for _ in range(3)]
        for session in sessions:
            await tunnel.open_channel(session)
        for _ in range(5):
            with pytest.raises(asyncssh.ChannelOpenError, match="too_many_channels"):
                await tunnel.open_channel(CollectingSession())
        sessions[0].channel.close()
        await sessions[0].lost.wait()
        await supervisor.wait_for(lambda sup: True)
        await tunnel.open_channel(CollectingSession())  # refused ones left nothing behind


async def test_a_cancelled_opening_leaves_no_channel(server: TunnelServer) -> None:
    token = server.token(server.agents.add())
    async with LinkRelay(server.port) as relay:
        through = AccessToken((f"{LOOPBACK}:{relay.port}",), token.pins, token.agent_id, token.secret)
        async with agent(through) as supervisor:
            (tunnel,) = await server.wait_tunnels(1)
            await supervisor.wait_for(in_state(State.READY))
            await tunnel.open_channel(CollectingSession())  # which was opened early
            relay.down.clear()
            session = CollectingSession()
            opening = asyncio.create_task(tunnel.open_channel(session))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            relay.down.set()
            after = CollectingSession()
            await tunnel.open_channel(after)
            assert not session.opened.is_set()
            channels = tunnel.link._conn._channels  # type: ignore[attr-defined]  # the registry knows a link by its protocol only
            await until(lambda: len(channels) == 3)  # control, the early one and `after`
            after.channel.close()


async def test_a_channel_is_on_its_way_before_the_hello(server: TunnelServer) -> None:
    far: list[ByteSession] = []
    events: list[str] = []

    def sessions(nonce: bytes) -> ByteSession:
        far.append(EchoSession())
        events.append("channel")
        return far[-1]

    async with agent(server.token(server.agents.add()), sessions=sessions) as supervisor:
        (tunnel,) = await server.wait_tunnels(1)
        await supervisor.wait_for(in_state(State.READY))
        events.append("ready")
        assert await echo(server) == b"ping"
        assert events == ["channel", "ready"], "the first request opened none"
        assert await echo(server) == b"ping"
        assert events == ["channel", "ready", "channel"], "an early one is used once"
        assert tunnel.in_flight == 0
