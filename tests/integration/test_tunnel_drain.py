"""Draining: an agent that stops, a server that leaves, a reload."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.server.registry import Change
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.messages import Hello
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import AccessToken
from tests.kit.ssh_servers import (
    AGENT_ID,
    LOOPBACK,
    SHOP,
    CollectingSession,
    EchoSession,
    TunnelServer,
)
from tests.kit.tunnel_agent import FAST, OTHER_SHOP, agent, hello, in_state


async def test_an_agent_that_stops_finishes_what_runs(server: TunnelServer) -> None:
    running = {"count": 1}
    token = server.token(server.agents.add())
    async with agent(token, replace(FAST, tunnels=2), in_flight=lambda: running["count"]) as supervisor:
        tunnels = await server.wait_tunnels(2)
        await supervisor.wait_for(in_state(State.READY))
        session = CollectingSession()
        await tunnels[0].open_channel(session)
        draining = asyncio.create_task(supervisor.drain(10))
        while len(server.changes(Change.DRAINING)) < 2:
            await server.next_event()
        assert server.registry.eligible(AGENT_ID, SHOP) == []
        session.channel.write(b"still")
        assert await session.wait_bytes(5) == b"still"
        assert not draining.done()
        running["count"] = 0
        assert await draining is True
        await session.lost.wait()
        await server.wait_tunnels(0)
        assert all(status.state is State.CLOSED for status in supervisor.status())
        seen = server.registry.last_seen(AGENT_ID)
        assert seen is not None
        assert seen.drained


async def test_a_drain_ends_in_time_even_if_something_never_does(server: TunnelServer) -> None:
    async with agent(server.token(server.agents.add()), in_flight=lambda: 1) as supervisor:
        await server.wait_tunnels(1)
        await supervisor.wait_for(in_state(State.READY))
        assert await supervisor.drain(0.05) is False
        await server.wait_tunnels(0)


@pytest.mark.parametrize("state", ["waiting", "connecting", "logging in"])
async def test_an_agent_without_a_tunnel_stops_at_once(server: TunnelServer, state: str) -> None:
    token = server.token(server.agents.add())
    hang = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hang.wait()
        writer.close()

    listener = await asyncio.start_server(silent, LOOPBACK, 0)
    if state == "logging in":
        silent_port = listener.sockets[0].getsockname()[1]
        token = AccessToken((f"{LOOPBACK}:{silent_port}",), token.pins, token.agent_id, token.secret)
    else:
        server.kill()

    async def never(host: str, port: int) -> object:
        await hang.wait()
        raise OSError

    config = replace(FAST, login_timeout_s=60, connect_timeout_s=60, backoff=BackoffLimits(first_s=600, cap_s=600))
    supervisor = Supervisor(config, token, hello(), lambda nonce: EchoSession())
    if state == "connecting":
        supervisor._keepers[0]._dial = never  # type: ignore[assignment]  # a double of the dialer
    running = asyncio.create_task(supervisor.run())
    wanted = {"waiting": State.WAITING, "connecting": State.CONNECTING, "logging in": State.AUTHENTICATING}[state]
    await supervisor.wait_for(in_state(wanted))
    async with asyncio.timeout(5):
        await supervisor.drain(60)
        await running
    assert in_state(State.CLOSED)(supervisor)
    hang.set()
    listener.close()


async def test_the_servers_drain_is_answered_and_shown(server: TunnelServer) -> None:
    async with agent(server.token(server.agents.add())) as supervisor:
        (tunnel,) = await server.wait_tunnels(1)
        await supervisor.wait_for(in_state(State.READY))
        server.registry.drain_all("restart", 0.0)
        await supervisor.wait_for(in_state(State.DRAINING))
        assert server.registry.eligible(AGENT_ID, SHOP) == []
        session = CollectingSession()
        await tunnel.open_channel(session)  # what was on its way is still served
        session.channel.write(b"x")
        assert await session.wait_bytes(1) == b"x"


async def test_a_reload_changes_the_stores_and_disturbs_nothing(server: TunnelServer) -> None:
    stores = [SHOP]

    def greeting(index: int) -> Hello:
        return hello(stores=tuple(stores))(index)

    async with agent(server.token(server.agents.add()), greeting=greeting) as supervisor:
        (tunnel,) = await server.wait_tunnels(1)
        await supervisor.wait_for(in_state(State.READY))
        session = CollectingSession()
        await tunnel.open_channel(session)
        stores[:] = [OTHER_SHOP]
        supervisor.refresh()
        while not server.changes(Change.RULES):
            await server.next_event()
        assert server.registry.eligible(AGENT_ID, SHOP) == []
        assert server.registry.eligible(AGENT_ID, OTHER_SHOP) == [tunnel]
        session.channel.write(b"x")
        assert await session.wait_bytes(1) == b"x"


async def test_a_reload_while_a_tunnel_logs_in_is_told_when_it_is_up(server: TunnelServer) -> None:
    """The hello of the login was made of the settings from before."""
    stores = [SHOP]

    def greeting(index: int) -> Hello:
        said = hello(stores=tuple(stores))(index)
        stores[:] = [OTHER_SHOP]
        return said

    async with agent(server.token(server.agents.add()), greeting=greeting):
        (tunnel,) = await server.wait_tunnels(1)
        async with asyncio.timeout(5):
            while server.registry.eligible(AGENT_ID, OTHER_SHOP) != [tunnel]:
                await server.next_event()
        assert server.registry.eligible(AGENT_ID, SHOP) == []
