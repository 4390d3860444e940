"""A server that leaves tells each agent its own time to come back, and passes its sockets on to its successor."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from agent.server.ssh_config import SshConfig
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from tests.kit.raw_client import RawClient
from tests.kit.server_process import ServerProcess
from tests.kit.socket_activation import listening_socket
from tests.kit.ssh_servers import tunnel_server
from tests.kit.tunnel_agent import FAST, agent, hello, in_state
from tests.kit.until import until

AGENTS = 4
NO_JITTER = replace(FAST, tunnels=2, backoff=BackoffLimits(first_s=0.02, cap_s=60, hint_spread=0.0))


def hints(supervisor: Supervisor) -> list[float]:
    """What each tunnel was told, in the order of their numbers."""
    endings = [status.last_ending for status in supervisor.status()]
    return [ending.hint_s for ending in endings if ending is not None and ending.hint_s is not None]


async def test_agents_are_asked_back_one_after_the_other_and_each_with_one_tunnel_first() -> None:
    async with tunnel_server(SshConfig(bye_grace_s=0.5, returns_per_s=10.0)) as server, AsyncExitStack() as stack:
        supervisors = []
        for number in range(AGENTS):
            name = f"agent-{number}"
            token = server.token(server.agents.add(name), name)
            supervisors.append(await stack.enter_async_context(agent(token, NO_JITTER, hello())))
            await server.wait_tunnels(2, name)
            await supervisors[-1].wait_for(in_state(State.READY))
        assert server.endpoint is not None
        await server.endpoint.close(retry_after_s=30.0)
        server.endpoint = None
        for supervisor in supervisors:
            await supervisor.wait_for(in_state(State.WAITING))
        told = [hints(supervisor) for supervisor in supervisors]
        assert sorted(first for first, _ in told) == pytest.approx([30.0, 30.1, 30.2, 30.3])
        assert sorted(second for _, second in told) == pytest.approx([30.4, 30.5, 30.6, 30.7])


async def test_who_connects_while_no_server_runs_is_answered_by_the_next_one(tmp_path: Path) -> None:
    with listening_socket() as ssh, listening_socket() as gateway:
        sockets = {"gateway": gateway, "ssh": ssh}
        port = gateway.getsockname()[1]
        async with ServerProcess(tmp_path / "data", sockets=sockets) as first:
            assert first.gateway_port == port
            assert first.ssh_address == f"127.0.0.1:{ssh.getsockname()[1]}"
            assert await first.stop() == 0
        async with RawClient(port) as client:
            await client.send(b"GET /shop/api/ HTTP/1.1\r\nHost: g\r\n\r\n")
            async with ServerProcess(tmp_path / "data", sockets=sockets):
                assert (await client.answer()).status == 401


async def test_keys_are_not_taken_on_a_passed_socket_that_everybody_can_reach(tmp_path: Path) -> None:
    with listening_socket("0.0.0.0") as gateway:
        server = ServerProcess(tmp_path / "data", sockets={"gateway": gateway})
        with pytest.raises(AssertionError, match="the server ended"):
            await server.__aenter__()
        port = gateway.getsockname()[1]
        assert f"The socket passed for the gateway listens on 0.0.0.0:{port}" in server.err
        assert f"ListenStream=127.0.0.1:{port}" in server.err
        assert "Traceback" not in server.err


async def test_a_hangup_is_answered_in_the_log_and_ends_nothing(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data") as server:
        server.tell(signal.SIGHUP)
        await until(lambda: any(event["event"] == "settings.need_restart" for event in server.log))
        assert (await server.api("get", "status"))["state"] != "draining"
        assert await server.stop() == 0


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data") as server, RawClient(server.gateway_port) as client:
        await client.send(b"GET /shop")  # what has begun would be waited for
        server.tell(signal.SIGTERM)
        await until(lambda: any(event["event"] == "server.stopping" for event in server.log))
        async with asyncio.timeout(8):  # client_head_timeout_s is 10
            assert await server.stop() == 0
