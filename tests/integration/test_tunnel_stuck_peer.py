"""A peer whose process is stuck while its kernel goes on acknowledging; with the default limits, so it takes 30 s."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from agent.server.registry import Change
from agent.server.tunnel import Tunnel
from tests.kit.agent_process import AgentProcess
from tests.kit.server_process import ServerProcess
from tests.kit.ssh_servers import AGENT_ID, tunnel_server
from tests.kit.until import until

NOTICED_WITHIN_S = 30.0
BACK_WITHIN_S = 20.0


async def stuck_agent(directory: Path) -> tuple[float, float]:
    """Seconds until the server dropped a stopped agent, and from its continuation until all was well again."""
    async with tunnel_server() as server:
        token = server.token(server.agents.add()).encode()
        async with AgentProcess(directory, "", token) as agent:
            before: tuple[Tunnel, ...] = await server.wait_tunnels(2)
            await agent.event("tunnel.ready", 2)
            await until(lambda: all(tunnel.last_heartbeat_at > tunnel.connected_at for tunnel in before))
            agent.signal(signal.SIGSTOP)
            began = time.monotonic()
            async with asyncio.timeout(60):
                await server.wait_tunnels(0)
            noticed_s = time.monotonic() - began
            reasons = {event.reason for event in server.changes(Change.REMOVED)}
            assert reasons == {"nothing heard for 25 s"}
            agent.signal(signal.SIGCONT)
            began = time.monotonic()
            async with asyncio.timeout(60):
                await server.wait_tunnels(2)
            assert not set(before) & set(server.registry.tunnels(AGENT_ID))
            return noticed_s, time.monotonic() - began


async def stuck_server(directory: Path) -> tuple[float, float]:
    """The same for a stopped server, as its agent sees it."""
    async with ServerProcess(directory / "data") as server:
        made = await server.api("post", "agents", name="stuck", public_ssh_address=server.ssh_address)
        async with AgentProcess(directory / "agent", "", made["access_token"]) as agent:
            await agent.event("tunnel.ready", 2)
            os.kill(server.pid, signal.SIGSTOP)
            began = time.monotonic()
            try:
                async with asyncio.timeout(60):
                    lost = await agent.event("tunnel.lost", 2)
                noticed_s = time.monotonic() - began
                assert lost["reason"] == "silent"
            finally:
                os.kill(server.pid, signal.SIGCONT)
            began = time.monotonic()
            async with asyncio.timeout(60):
                await agent.event("tunnel.ready", 4)
            return noticed_s, time.monotonic() - began


@pytest.mark.slow
async def test_a_stuck_process_is_given_up_within_thirty_seconds_and_comes_back(tmp_path: Path) -> None:
    (agent_s, agent_back_s), (server_s, server_back_s) = await asyncio.gather(
        stuck_agent(tmp_path / "one"), stuck_server(tmp_path / "two")
    )
    print(f"\nstopped agent: noticed by the server after {agent_s:.1f} s, back {agent_back_s:.1f} s after SIGCONT")
    print(f"stopped server: noticed by the agent after {server_s:.1f} s, back {server_back_s:.1f} s after SIGCONT")
    assert 10 < agent_s < NOTICED_WITHIN_S
    assert 10 < server_s < NOTICED_WITHIN_S
    assert agent_back_s < BACK_WITHIN_S
    assert server_back_s < BACK_WITHIN_S
