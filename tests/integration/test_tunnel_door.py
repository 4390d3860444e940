"""The door of the SSH endpoint: who finds no place waits, unread and not for long, and is then logged in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from agent.server.doorkeeper import Doorkeeper, DoorLimits
from agent.server.ssh_config import SshConfig
from agent.tunnel.state import State
from tests.kit.raw_agent import raw_connection
from tests.kit.ssh_servers import LOOPBACK, TunnelServer, tunnel_server
from tests.kit.tunnel_agent import agent, hello, in_state
from tests.kit.until import until

AGENTS = 40


def door_of(server: TunnelServer) -> Doorkeeper:
    assert server.endpoint is not None
    return server.endpoint._context.doorkeeper


@asynccontextmanager
async def strangers(server: TunnelServer, count: int) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Connections that say nothing, each in a place of its own."""
    writers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
        assert (await reader.readline()).startswith(b"SSH-2.0-integration-server_")
        writers.append(writer)
    try:
        yield writers
    finally:
        for writer in writers:
            writer.close()


async def test_a_hundred_agents_behind_one_address_are_all_let_in_at_the_first_attempt() -> None:
    """More than the places of one source come at once; nobody is refused, so that nobody's back-off grows."""
    config = SshConfig(door=DoorLimits(total_max=4, per_source_max=2))
    async with tunnel_server(config) as server, AsyncExitStack() as stack:
        supervisors = []
        for number in range(AGENTS):
            name = f"agent-{number}"
            token = server.token(server.agents.add(name), name)
            supervisors.append(await stack.enter_async_context(agent(token, greeting=hello(f"instance-{number}"))))
        async with asyncio.timeout(60):
            for supervisor in supervisors:
                await supervisor.wait_for(in_state(State.READY))
        report = door_of(server).report()
        assert report.waiting_max > AGENTS / 2
        assert report.inside_max == 2
        assert sum(report.turned_away.values()) == 0
        assert {supervisor.status()[0].attempts for supervisor in supervisors} == {1}
        assert (report.inside, report.waiting) == (0, 0)


async def test_one_that_waits_is_let_in_when_a_place_becomes_free() -> None:
    async with tunnel_server(SshConfig(door=DoorLimits(total_max=2, per_source_max=2))) as server:
        secret = server.agents.add()
        async with strangers(server, 2) as writers:
            login = asyncio.create_task(raw_connection(server.port, secret))
            await until(lambda: door_of(server).waiting == 1)
            assert not login.done()
            writers[0].close()
            async with asyncio.timeout(10):
                connection = await login
            connection.abort()


async def test_nothing_is_read_of_one_that_waits() -> None:
    """A key exchange is what costs the server, and what the client says begins it."""
    async with tunnel_server(SshConfig(door=DoorLimits(total_max=1, per_source_max=1))) as server:
        served, serve = await asyncio.open_connection(LOOPBACK, server.port)
        await served.readline()
        held, hold = await asyncio.open_connection(LOOPBACK, server.port)
        await held.readline()
        hold.write(b"SSH-2.0-held\r\n")
        await hold.drain()
        serve.write(b"SSH-2.0-served\r\n")
        async with asyncio.timeout(10):
            assert await served.read(1)  # the server has looked at its sockets after both had spoken
        assert not held._buffer  # type: ignore[attr-defined]
        serve.close()
        async with asyncio.timeout(10):
            assert await held.read(1)
        hold.close()


async def test_who_waited_too_long_is_turned_away_when_its_turn_comes() -> None:
    async with tunnel_server(SshConfig(door=DoorLimits(total_max=1, per_source_max=1, waiting_s=0.0))) as server:
        async with strangers(server, 1) as writers:
            reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
            await until(lambda: door_of(server).waiting == 1)
            writers[0].close()
            async with asyncio.timeout(5):
                await reader.readline()
                assert await reader.read() == b""
            writer.close()
        assert door_of(server).report().turned_away["waited"] == 1
        await until(lambda: (door_of(server).inside, door_of(server).waiting) == (0, 0))


async def test_those_that_never_log_in_are_forgotten_wherever_they_stood() -> None:
    config = SshConfig(login_timeout_s=0.3, door=DoorLimits(total_max=2, per_source_max=2))
    async with tunnel_server(config) as server:
        connections = [await asyncio.open_connection(LOOPBACK, server.port) for _ in range(10)]
        for reader, writer in connections:
            async with asyncio.timeout(10):
                await reader.read()
            writer.close()
        door = door_of(server)
        await until(lambda: (door.inside, door.waiting) == (0, 0))
        assert server.endpoint is not None
        assert not server.endpoint._context.links


async def test_the_server_leaves_at_once_although_some_wait() -> None:
    config = SshConfig(door=DoorLimits(total_max=1, per_source_max=1))
    async with tunnel_server(config) as server, strangers(server, 1):
        waiting = [await asyncio.open_connection(LOOPBACK, server.port) for _ in range(20)]
        await until(lambda: door_of(server).waiting == 20)
        door = door_of(server)
        async with asyncio.timeout(5):
            await server.close()
        assert (door.inside, door.waiting) == (0, 0)
        for _, writer in waiting:
            writer.close()


async def test_one_that_waited_in_vain_is_told_that_the_server_is_busy_and_not_that_the_port_is_wrong() -> None:
    config = SshConfig(door=DoorLimits(total_max=0, waiting_max=1), login_timeout_s=0.2)
    async with tunnel_server(config) as server, agent(server.token(server.agents.add())) as supervisor:
        await supervisor.wait_for(in_state(State.WAITING))
        ending = supervisor.status()[0].last_ending
        assert ending is not None
        assert "busy" in ending.detail
        assert "port" not in ending.detail
