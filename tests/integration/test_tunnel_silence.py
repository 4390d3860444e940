"""Dead links: heartbeats, and each side giving up a silent other."""

from __future__ import annotations

from dataclasses import replace

from structlog.testing import capture_logs

from agent.server.registry import Change
from agent.server.ssh_config import SshConfig
from agent.tunnel.ending import EndReason
from agent.tunnel.state import State
from agent.tunnel.token import AccessToken
from tests.kit.link_relay import LinkRelay
from tests.kit.ssh_servers import (
    AGENT_ID,
    LOOPBACK,
    tunnel_server,
)
from tests.kit.tunnel_agent import FAST, agent, in_state
from tests.kit.until import until


async def test_each_side_gives_up_a_silent_other() -> None:
    config = SshConfig(heartbeat_interval_s=0.2, silence_limit_s=0.8, bye_grace_s=0.2)
    async with tunnel_server(config) as server, LinkRelay(server.port) as relay:
        right = server.token(server.agents.add())
        token = AccessToken((f"{LOOPBACK}:{relay.port}",), right.pins, right.agent_id, right.secret)
        with capture_logs() as events:
            async with agent(token, replace(FAST, silence_limit_s=0.8, login_timeout_s=30)) as supervisor:
                await server.wait_tunnels(1)
                await supervisor.wait_for(in_state(State.READY))
                relay.hold()
                await server.wait_tunnels(0)
                await supervisor.wait_for(lambda sup: sup.status()[0].last_ending is not None)
                ending = supervisor.status()[0].last_ending
                assert ending is not None
                assert ending.reason is EndReason.SILENT
        assert [event["event"] for event in events].count("tunnel.silent") == 1


async def test_heartbeats_keep_an_idle_tunnel_up_and_measure_it() -> None:
    config = SshConfig(heartbeat_interval_s=0.2, silence_limit_s=0.5)
    async with tunnel_server(config) as server:
        token = server.token(server.agents.add())
        async with agent(token, replace(FAST, silence_limit_s=0.5)) as supervisor:
            (tunnel,) = await server.wait_tunnels(1)
            born = tunnel.last_heartbeat_at
            await supervisor.wait_for(in_state(State.READY))
            link = supervisor._keepers[0]._link
            assert link is not None
            # six heartbeats take twice as long as the silence limit
            await until(lambda: link.liveness is not None and link.liveness._sequence >= 6)
            assert server.registry.tunnels(AGENT_ID) == (tunnel,)
            assert tunnel.last_heartbeat_at > born
            status = supervisor.status()[0]
            assert status.round_trip_s is not None
            assert 0 < status.round_trip_s < 1
            assert not server.changes(Change.REMOVED)
