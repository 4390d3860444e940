"""Agent and server over real SSH on loopback: coming up, carrying bytes, coming back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.streams import ByteSession
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.ending import EndReason
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import AccessToken
from tests.kit.ssh_servers import (
    AGENT_ID,
    LOOPBACK,
    CollectingSession,
    EchoSession,
    SecretCollector,
    TunnelServer,
)
from tests.kit.tunnel_agent import FAST, agent, echo, in_state
from tests.kit.until import until


async def test_two_tunnels_come_up_and_carry_bytes_both_ways(server: TunnelServer) -> None:
    token = server.token(server.agents.add())
    nonces: list[bytes] = []

    def sessions(nonce: bytes) -> ByteSession:
        nonces.append(nonce)
        return EchoSession()

    async with agent(token, replace(FAST, tunnels=2), sessions=sessions) as supervisor:
        tunnels = await server.wait_tunnels(2)
        await supervisor.wait_for(in_state(State.READY))
        assert {tunnel.index for tunnel in tunnels} == {0, 1}
        for tunnel in tunnels:
            session = CollectingSession()
            await tunnel.open_channel(session)
            session.channel.write(b"x" * 300_000)
            assert len(await session.wait_bytes(300_000)) == 300_000
            session.channel.write_eof()
            await session.eof.wait()  # half-close is handed through both ends
            assert not session.lost.is_set()
            session.channel.close()
            await session.lost.wait()
        assert nonces == [tunnel.nonce for tunnel in tunnels]
        assert tunnels[0].nonce != tunnels[1].nonce
        (first, _) = supervisor.status()
        assert first.open_channels == 0
        assert server.registry.snapshot()[0].host == "shop-host"


async def test_the_ciphers_are_the_fast_ones(server: TunnelServer) -> None:
    async with agent(server.token(server.agents.add())):
        (tunnel,) = await server.wait_tunnels(1)
        conn = tunnel.link._conn  # type: ignore[attr-defined]  # the registry knows a link by its protocol only
        assert conn.get_extra_info("send_cipher") == "aes128-gcm@openssh.com"
        assert conn.get_extra_info("recv_cipher") == "aes128-gcm@openssh.com"
        assert conn.get_extra_info("send_compression") == "none"


async def test_a_killed_server_is_survived(server: TunnelServer) -> None:
    token = server.token(server.agents.add())
    async with agent(token, replace(FAST, tunnels=2)) as supervisor:
        await server.wait_tunnels(2)
        for _ in range(3):
            server.kill()
            await supervisor.wait_for(lambda sup: not sup.is_ready)
            assert all(status.last_ending is None or status.last_ending.detail for status in supervisor.status())
            await server.start()
            await server.wait_tunnels(2)
            assert await echo(server) == b"ping"


async def test_a_server_that_is_not_there_yet_is_waited_for(server: TunnelServer) -> None:
    token = server.token(server.agents.add())
    server.kill()
    with capture_logs() as events:
        async with agent(token) as supervisor:
            await supervisor.wait_for(lambda sup: sup.status()[0].attempts >= 4)
            await server.start()
            await server.wait_tunnels(1)
    loud = [event for event in events if event["event"] == "tunnel.unreachable" and event["log_level"] != "debug"]
    assert len(loud) == 1, "said once, not at every attempt"
    assert "cannot be reached (connection refused)" in loud[0]["detail"]


async def test_the_servers_bye_and_hint_are_obeyed(server: TunnelServer) -> None:
    async with agent(server.token(server.agents.add())) as supervisor:
        await server.wait_tunnels(1)
        await supervisor.wait_for(in_state(State.READY))
        assert server.endpoint is not None
        await server.endpoint.close(retry_after_s=200)
        await supervisor.wait_for(in_state(State.WAITING))
        (status,) = supervisor.status()
        assert status.last_ending is not None
        assert status.last_ending.reason is EndReason.SERVER_LEFT
        assert status.next_attempt_in_s is not None
        assert 195 < status.next_attempt_in_s <= 300
        await server.start()
        supervisor.wake()  # a person, or the machine waking up
        await server.wait_tunnels(1)


@pytest.mark.parametrize("trouble", ["refused", "wrong key", "wrong secret", "evicted"])
async def test_attempts_leave_nothing_behind(server: TunnelServer, trouble: str) -> None:
    """An agent tries for months: no task, no file descriptor and no connection may stay from an attempt."""
    right = server.token(server.agents.add())
    async with SecretCollector() as impostor:
        port = {"refused": 1, "wrong key": impostor.port}.get(trouble, server.port)
        secret = "w" * 43 if trouble == "wrong secret" else right.secret
        token = AccessToken((f"{LOOPBACK}:{port}",), right.pins, right.agent_id, secret)
        async with agent(token, replace(FAST, backoff=BackoffLimits(first_s=0.01, cap_s=0.02))) as supervisor:

            async def attempts(count: int) -> None:
                def made(sup: Supervisor) -> bool:
                    if trouble == "evicted" and sup.is_ready:
                        server.registry.evict_agent(AGENT_ID)
                    return sup.status()[0].attempts >= count

                await supervisor.wait_for(made)
                await until(lambda: len(server.endpoint._context.links) <= 1)  # type: ignore[union-attr]  # set by start

            await attempts(5)
            tasks, files = len(asyncio.all_tasks()), len(list(Path("/proc/self/fd").iterdir()))
            await attempts(25)
            assert len(asyncio.all_tasks()) <= tasks + 4
            assert len(list(Path("/proc/self/fd").iterdir())) <= files + 4
