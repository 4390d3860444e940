"""A real black hole, with the default limits: a router between two network namespaces that loses packets silently."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agent.server.registry import Change, RegistryEvent
from agent.server.sshd import SshEndpoint
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.config import TunnelConfig
from agent.tunnel.dial import Dial
from agent.tunnel.ending import EndReason
from agent.tunnel.state import State
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import AccessToken
from tests.kit.namespaces import Machines, machines
from tests.kit.ssh_servers import CollectingSession, EchoSession, TunnelServer
from tests.kit.tunnel_agent import hello, in_state
from tests.kit.until import until

# Every limit is the default one; only that nobody tries again, which would be of no use in a black hole.
CONFIG = TunnelConfig(tunnels=1, backoff=BackoffLimits(first_s=100_000, cap_s=100_000))
NOTICED_WITHIN_S = 15.0
HOLES: dict[str, Callable[[Machines], None]] = {
    "both ways": Machines.cut,
    "to the server": lambda net: net.lose_towards("server"),
    "to the agent": lambda net: net.lose_towards("agent"),
}


class FarServer(TunnelServer):
    """The endpoint on a machine of its own."""

    def __init__(self, net: Machines) -> None:
        super().__init__()
        self.net = net
        self.removed_at: dict[str, float] = {}

    async def start(self) -> None:
        address = self.net.address("server")
        listening = self.net.inside("server", lambda: socket.create_server((address, 0)))
        self.registry.subscribe(self._note)
        self.endpoint = SshEndpoint(self.host_key, self.agents.authenticate, self.registry, self.config)
        await self.endpoint.start(address, 0, sockets=[listening])
        self.port = self.endpoint.port

    def token(self, secret: str, agent_id: str = "") -> AccessToken:
        right = super().token(secret, agent_id)
        return replace(right, servers=(f"{self.net.address('server')}:{self.port}",))

    def _note(self, event: RegistryEvent) -> None:
        if event.change is Change.REMOVED:
            self.removed_at[event.tunnel.agent_id] = time.monotonic()


def dial_from(net: Machines) -> Dial:
    """Connects from the agent's machine."""

    async def dial(host: str, port: int) -> socket.socket:
        sock = net.inside("agent", socket.socket)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except BaseException:
            sock.close()
            raise
        return sock

    return dial


@asynccontextmanager
async def far_agent(server: FarServer, agent_id: str) -> AsyncIterator[Supervisor]:
    """An agent on a machine of its own, whose first heartbeat was answered."""
    supervisor = Supervisor(
        CONFIG,
        server.token(server.agents.add(agent_id), agent_id),
        hello(),
        lambda nonce: EchoSession(),
        dial=dial_from(server.net),
    )
    running = asyncio.create_task(supervisor.run())
    try:
        await supervisor.wait_for(in_state(State.READY))
        yield supervisor
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def drip(session: CollectingSession) -> None:
    """Small questions that are echoed, ten a second."""
    while not session.lost.is_set():
        session.channel.write(b"x" * 100)
        await asyncio.sleep(0.1)


async def noticed(supervisor: Supervisor) -> tuple[float, str]:
    await supervisor.wait_for(lambda sup: sup.status()[0].last_ending is not None)
    ending = supervisor.status()[0].last_ending
    assert ending is not None
    assert ending.reason in {EndReason.LOST, EndReason.SILENT}
    return time.monotonic(), ending.detail


async def fall(net: Machines, hole: str) -> dict[str, tuple[float, float, str]]:
    """Three tunnels fall into the hole: after how many seconds each end of each noticed, and what the agent said."""
    server = FarServer(net)
    await server.start()
    async with far_agent(server, "idle") as idle, far_agent(server, "busy") as busy, far_agent(server, "late") as late:
        agents = {"idle": idle, "busy": busy, "late": late}
        await until(lambda: all(each.status()[0].round_trip_s is not None for each in agents.values()))
        sessions = {}
        for name in ("busy", "late"):
            sessions[name] = CollectingSession()
            await server.registry.tunnels(name)[0].open_channel(sessions[name])
        dripping = asyncio.create_task(drip(sessions["busy"]))
        await sessions["busy"].wait_bytes(200)
        # The next heartbeats come when the kernel is about to give up by itself, and begin its count anew.
        await asyncio.sleep(0.8)
        HOLES[hole](net)
        cut_at = time.monotonic()
        question = asyncio.get_running_loop().call_later(9.0, sessions["late"].channel.write, b"anybody there?")
        async with asyncio.timeout(40):
            found = await asyncio.gather(*(noticed(each) for each in agents.values()))
            await until(lambda: len(server.removed_at) == len(agents), timeout_s=40)
        question.cancel()
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
    await server.close()
    return {
        name: (at - cut_at, server.removed_at[name] - cut_at, detail)
        for name, (at, detail) in zip(agents, found, strict=True)
    }


@pytest.mark.slow
async def test_both_ends_notice_a_black_hole_within_fifteen_seconds() -> None:
    """Idle, with heartbeats and with a server's question that go into the hole, and busy; both ways and one way."""
    with machines("agent", "server") as one, machines("agent", "server") as two, machines("agent", "server") as three:
        nets = dict(zip(HOLES, (one, two, three), strict=True))
        results = await asyncio.gather(*(fall(net, hole) for hole, net in nets.items()))
    print()
    for hole, ends in zip(HOLES, results, strict=True):
        for name, (agent_s, server_s, detail) in ends.items():
            print(f"lost {hole}, {name}: agent after {agent_s:.1f} s, server after {server_s:.1f} s ({detail})")
    for ends in results:
        for agent_s, server_s, detail in ends.values():
            assert 5 < agent_s < NOTICED_WITHIN_S, detail
            assert 5 < server_s < NOTICED_WITHIN_S
