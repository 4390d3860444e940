"""Agent, server and store as processes on machines of their own: the server moves, then the cable is pulled."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.agent_process import AgentProcess
from tests.kit.namespaces import Machines, machines
from tests.kit.raw_client import RawAnswer, basic
from tests.kit.server_process import ServerProcess

DOWN_S = 40.0
API_KEY = "NAMESPACESTEST00NAMESPACESTEST00"
NAME = "cloud.test"
SSH_PORT = 2222


@asynccontextmanager
async def store_process(net: Machines) -> AsyncIterator[int]:
    """The sample store on its machine; its port."""
    process = await asyncio.create_subprocess_exec(
        *net.prefix("store"),
        *(sys.executable, "-m", "agent.demo.store", "--host", net.address("store"), "--key", API_KEY),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())["port"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


class Integration:
    """A client on the server's machine (the gateway has no TLS here and so listens to its own machine only)."""

    def __init__(self, net: Machines, port: int, key: str) -> None:
        self._net = net
        self._port = port
        self._request = b"GET /shop/api/languages HTTP/1.1\r\nHost: gateway\r\n" + basic(key) + b"\r\n"

    async def ask(self, timeout_s: float = 60.0) -> tuple[RawAnswer, float]:
        """One request on a connection of its own, and how long it took."""
        began = time.monotonic()
        async with self._net.client("server", "127.0.0.1", self._port) as client:
            await client.send(self._request)
            answer = await client.answer(timeout_s=timeout_s)
        return answer, time.monotonic() - began


async def seen(process: ServerProcess, event: str, count: int) -> float:
    """Wait until the server has logged so many of an event; the time."""
    while sum(each["event"] == event for each in process.log) < count:  # noqa: ASYNC110 - its log has no event
        await asyncio.sleep(0.02)
    return time.monotonic()


def count(events: list[dict[str, Any]], event: str) -> int:
    return sum(each["event"] == event for each in events)


@pytest.mark.slow
async def test_the_server_moves_and_the_cable_is_pulled_and_all_heals_by_itself(tmp_path: Path) -> None:
    with machines("agent", "server", "store") as net:
        net.hosts("agent", **{NAME: net.address("server")})
        async with (
            store_process(net) as store_port,
            ServerProcess(
                tmp_path / "data", ("--ssh-listen", f"0.0.0.0:{SSH_PORT}"), prefix=net.prefix("server")
            ) as server,
        ):
            made = await server.api("post", "agents", name="far", public_ssh_address=f"{NAME}:{SSH_PORT}")
            store = f"http://{net.address('store')}:{store_port}/api/"
            toml = f'[[stores]]\nurl = "{store}"\nmethods = "read"\n'
            await server.api(
                "post",
                "connections",
                name="shop",
                mode="on-premise",
                agent="far",
                store_url=store,
                api_key=API_KEY,
            )
            key = (await server.api("post", "client-keys", connections=["shop"]))["key"]
            integration = Integration(net, server.gateway_port, key)
            async with AgentProcess(
                tmp_path / "agent", toml, made["access_token"], prefix=net.prefix("agent")
            ) as agent:
                await agent.event("tunnel.ready", 2)
                answer, _ = await integration.ask()
                assert (answer.status, b"languages" in answer.body) == (200, True)

                await _another_address(net, agent, integration)
                await _forty_seconds_without_a_cable(net, server, agent, integration)


async def _forty_seconds_without_a_cable(
    net: Machines, server: ServerProcess, agent: AgentProcess, integration: Integration
) -> None:
    closed = count(server.log, "tunnel.closed")
    lost, ready = count(agent.events, "tunnel.lost"), count(agent.events, "tunnel.ready")
    net.unplug("agent")
    down_at = time.monotonic()
    surprised = asyncio.create_task(integration.ask())  # the server does not know yet
    async with asyncio.timeout(30):
        await agent.event("tunnel.lost", lost + 2)
        agent_s = time.monotonic() - down_at
        server_s = await seen(server, "tunnel.closed", closed + 2) - down_at
    parked, parked_s = await integration.ask()  # and one that comes when it does
    held, held_s = await surprised
    for answer in (parked, held):
        assert (answer.status, answer.error_name) == (503, "agent_offline")
        assert int(answer.field("Retry-After") or 0) > 0
    await asyncio.sleep(down_at + DOWN_S - time.monotonic())  # as long as it is to last
    net.plug_in("agent")
    up_at = time.monotonic()
    async with asyncio.timeout(40):
        await agent.event("tunnel.ready", ready + 1)
        first_s = time.monotonic() - up_at
        answer, answer_s = await integration.ask()
        assert answer.status == 200
        await agent.event("tunnel.ready", ready + 2)
        both_s = time.monotonic() - up_at
    print(f"\ncable pulled: noticed by the agent after {agent_s:.1f} s, by the server after {server_s:.1f} s")
    print(f"a request under way then was given up after {held_s:.1f} s, a parked one after {parked_s:.1f} s")
    print(
        f"back after {DOWN_S:g} s: first tunnel after {first_s:.1f} s, both after {both_s:.1f} s,"
        f" a request right after the first in {answer_s * 1000:.0f} ms"
    )
    assert agent_s < 15
    assert server_s < 15
    assert held_s < 30
    # Its waits have grown to half a minute and more by then: the kernel's news that the cable is in cut them short.
    assert both_s < 10
    assert parked_s < 12


async def _another_address(net: Machines, agent: AgentProcess, integration: Integration) -> None:
    ready = count(agent.events, "tunnel.ready")
    new = net.move("server", 77)
    net.hosts("agent", **{NAME: new})
    moved_at = time.monotonic()
    async with asyncio.timeout(60):
        await agent.event("tunnel.ready", ready + 2)
    healed_s = time.monotonic() - moved_at
    answer, _ = await integration.ask()
    assert answer.status == 200
    print(f"server moved to {new}: both tunnels up again after {healed_s:.1f} s")
    assert healed_s < 40
