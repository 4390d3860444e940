"""Takeover, places of instances, revocation, probes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncssh
import pytest

from agent.server.registry import Change
from agent.server.ssh_config import SshConfig
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.ending import EndReason
from agent.tunnel.messages import Hello
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import AccessToken
from tests.kit.link_relay import LinkRelay
from tests.kit.ssh_servers import (
    AGENT_ID,
    LOOPBACK,
    SHOP,
    CollectingSession,
    TunnelServer,
    tunnel_server,
)
from tests.kit.tunnel_agent import OTHER_SHOP, SLOW_LANE_FOR_EVER, agent, echo, hello, in_state


async def test_a_returning_tunnel_takes_over_at_once(server: TunnelServer) -> None:
    """The server still believes in the old connection: a black hole lies between."""
    token = server.token(server.agents.add())
    async with LinkRelay(server.port) as relay:
        through = AccessToken((f"{LOOPBACK}:{relay.port}",), token.pins, token.agent_id, token.secret)
        async with agent(through):
            (old,) = await server.wait_tunnels(1)
            stale = CollectingSession()
            await old.open_channel(stale)
            relay.hold()
            async with agent(token) as returned:
                await returned.wait_for(in_state(State.READY))
                (new,) = server.registry.tunnels(AGENT_ID)
                assert new is not old
                assert await echo(server) == b"ping"
                await stale.lost.wait()  # what ran in the old one is told at once
    assert server.changes(Change.REMOVED)[0].reason == "replaced"


async def test_two_copies_of_one_identity_end_in_the_slow_lane(server: TunnelServer) -> None:
    token = server.token(server.agents.add())
    config = replace(SLOW_LANE_FOR_EVER, backoff=BackoffLimits(first_s=0.01, cap_s=600))
    async with agent(token, config) as first, agent(token, config) as second:

        def one_gave_up(_: Supervisor) -> bool:
            return State.SLOW in {first.status()[0].state, second.status()[0].state}

        waiters = [asyncio.create_task(each.wait_for(one_gave_up)) for each in (first, second)]
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
        loser = first if first.status()[0].state is State.SLOW else second
        ending = loser.status()[0].last_ending
        assert ending is not None
        assert ending.reason is EndReason.REPLACED
        assert "copy" in ending.detail
    assert len(server.changes(Change.REMOVED)) <= 6, "they did not evict each other for ever"


async def test_a_second_instance_is_told_who_holds_the_place() -> None:
    audited: list[tuple[str, dict[str, str]]] = []
    config = SshConfig(bye_grace_s=0.5, audit=lambda event, fields: audited.append((event, dict(fields))))
    async with tunnel_server(config) as server:
        token = server.token(server.agents.add())
        async with agent(token) as first:
            await server.wait_tunnels(1)
            await first.wait_for(in_state(State.READY))
            async with agent(token, SLOW_LANE_FOR_EVER, hello("instance-2")) as second:
                await second.wait_for(in_state(State.SLOW))
                ending = second.status()[0].last_ending
                assert ending is not None
                assert ending.reason is EndReason.PLACE_TAKEN
                assert "instance..." in ending.detail
                assert "instance-1" not in ending.detail, "who knows it all could join as one of its tunnels"
                assert "shop-host" in ending.detail
                assert first.is_ready
                assert [tunnel.instance_id for tunnel in server.registry.tunnels(AGENT_ID)] == ["instance-1"]
    assert [event for event, _ in audited] == ["agent.place_taken"]
    assert audited[0][1]["instance_id"] == "instance-2"


async def test_replicas_serve_together_when_they_may(server: TunnelServer) -> None:
    token = server.token(server.agents.add(max_instances=2))
    async with agent(token), agent(token, greeting=hello("instance-2", (OTHER_SHOP,))):
        await server.wait_tunnels(2)
        for store, instance in ((SHOP, "instance-1"), (OTHER_SHOP, "instance-2")):
            assert [tunnel.instance_id for tunnel in server.registry.eligible(AGENT_ID, store)] == [instance]


async def test_revocation_cuts_live_tunnels_at_once(server: TunnelServer) -> None:
    token = server.token(server.agents.add())
    async with agent(token, replace(SLOW_LANE_FOR_EVER, tunnels=2)) as supervisor:
        tunnels = await server.wait_tunnels(2)
        session = CollectingSession()
        await tunnels[0].open_channel(session)
        server.agents.records.clear()
        server.registry.evict_agent(AGENT_ID, "revoked")
        assert server.registry.tunnels(AGENT_ID) == ()
        await session.lost.wait()
        await supervisor.wait_for(in_state(State.SLOW))
        reasons = {status.last_ending.reason for status in supervisor.status() if status.last_ending}
        assert reasons <= {EndReason.REVOKED, EndReason.TOKEN_REFUSED}
        with pytest.raises(asyncssh.ChannelOpenError):
            await tunnels[0].open_channel(CollectingSession())


async def test_a_probe_logs_in_and_never_serves(server: TunnelServer) -> None:
    token = server.token(server.agents.add())

    def probe(index: int) -> Hello:
        return hello("instance-2")(index).model_copy(update={"kind": "probe"})

    async with agent(token) as first:
        await server.wait_tunnels(1)
        async with agent(token, greeting=probe) as prober:
            await prober.wait_for(in_state(State.READY))
            assert first.is_ready
            assert len(server.registry.tunnels(AGENT_ID)) == 1
            server.registry.evict_agent(AGENT_ID)
            await prober.wait_for(lambda sup: not sup.is_ready)
