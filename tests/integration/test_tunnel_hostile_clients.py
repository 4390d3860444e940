"""The SSH endpoint against clients that may log in, or not, but say hello wrongly, late, hostile, or never."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncssh
import pytest
from structlog.testing import capture_logs

from agent.server.doorkeeper import DoorLimits
from agent.server.ssh_config import SshConfig
from agent.tunnel.algorithms import SUBSYSTEM
from agent.tunnel.messages import LINE_MAX_BYTES
from tests.kit.raw_agent import RawControl, Sink, raw_connection, raw_control, raw_hello
from tests.kit.ssh_servers import AGENT_ID, LOOPBACK, TunnelServer, tunnel_server
from tests.kit.until import until

MANY = DoorLimits(free_failures=10_000)


@pytest.fixture
def ssh_config() -> SshConfig:
    return SshConfig(bye_grace_s=0.2, door=MANY)


@pytest.mark.parametrize("agent_id", [AGENT_ID, "nobody", "root", "x" * 500])
async def test_a_wrong_secret_is_refused(server: TunnelServer, agent_id: str) -> None:
    server.agents.add()
    with capture_logs() as events, pytest.raises(asyncssh.PermissionDenied):
        await raw_connection(server.port, "wrong-secret", agent_id)
    assert "wrong-secret" not in str(events)


async def test_only_passwords_are_offered(server: TunnelServer) -> None:
    methods = await asyncssh.get_server_auth_methods(LOOPBACK, server.port, username=AGENT_ID)
    assert methods == ["password"]


async def test_attempts_on_one_connection_are_counted(server: TunnelServer) -> None:
    server.agents.add()
    asked = 0

    class Guesser(asyncssh.SSHClient):
        def password_auth_requested(self) -> str:
            nonlocal asked
            asked += 1
            return f"guess {asked}"

    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            LOOPBACK,
            server.port,
            username=AGENT_ID,
            client_factory=Guesser,
            known_hosts=None,
            config=None,
            client_keys=None,
            agent_path=None,
        )
    assert asked <= 6


async def test_a_connection_that_does_not_log_in_is_closed() -> None:
    async with tunnel_server(SshConfig(login_timeout_s=0.1)) as server:
        reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()
        assert server.endpoint is not None
        assert server.endpoint._context.doorkeeper.inside == 0


async def test_places_for_the_unauthenticated_are_bounded_and_given_back() -> None:
    config = SshConfig(login_timeout_s=30, door=DoorLimits(total_max=5, per_source_max=5, waiting_max=0))
    async with tunnel_server(config) as server:
        secret = server.agents.add()
        waiting = [await asyncio.open_connection(LOOPBACK, server.port) for _ in range(5)]
        for reader, _ in waiting:
            assert (await reader.readline()).startswith(b"SSH-2.0-integration-server_")
        for _ in range(3):
            reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()
        with pytest.raises((asyncssh.Error, OSError)):
            await raw_connection(server.port, secret)
        assert server.endpoint is not None
        door = server.endpoint._context.doorkeeper
        for _, writer in waiting:
            writer.close()
        await until(lambda: door.inside == 0)
        connections = [await raw_connection(server.port, secret) for _ in range(8)]  # those logged in take no place
        for connection in connections:
            connection.abort()


async def test_a_source_that_guesses_is_barred_for_a_while() -> None:
    config = SshConfig(door=DoorLimits(free_failures=2, penalty_max_s=60, forgive_s=1e6))
    async with tunnel_server(config) as server:
        secret = server.agents.add()
        for _ in range(3):
            with pytest.raises(asyncssh.PermissionDenied):
                await raw_connection(server.port, "wrong")
        with pytest.raises((asyncssh.ConnectionLost, OSError)):
            await raw_connection(server.port, secret)


async def test_an_agent_without_hello_is_dropped() -> None:
    async with tunnel_server(SshConfig(hello_timeout_s=0.1, bye_grace_s=0.1)) as server:
        connection = await raw_connection(server.port, server.agents.add())
        await connection.create_server(lambda host, port: Sink(), "store", 80)
        control = await raw_control(connection)
        assert (await control.answer("bye"))["code"] == "protocol"
        async with asyncio.timeout(5):
            await connection.wait_closed()
        silent = await raw_connection(server.port, server.agents.add())
        async with asyncio.timeout(5):
            await silent.wait_closed()
        assert not server.registry.knows(AGENT_ID)


async def test_a_hello_before_the_forward_is_refused(server: TunnelServer) -> None:
    connection = await raw_connection(server.port, server.agents.add())
    control = await raw_control(connection)
    control.say(raw_hello())
    assert "forward" in (await control.answer("bye"))["reason"]
    async with asyncio.timeout(5):
        await connection.wait_closed()


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b"\n",
        b"GET / HTTP/1.1\r\n",
        b"\x00" * 100 + b"\n",
        b"x" * LINE_MAX_BYTES,
        b'{"type":"hello"}\n',
        b'{"type":"heartbeat"}\n',
        b'{"type":"drain"}\n',
        b"[" * 60_000 + b"\n",
        b'{"type":"unknown"}\n' * 2000,
    ],
)
@pytest.mark.parametrize("greeted", [False, True])
async def test_hostile_control_lines_end_the_connection_with_a_reason(
    server: TunnelServer, conn: asyncssh.SSHClientConnection, line: bytes, greeted: bool
) -> None:
    control = await raw_control(conn)
    if greeted:
        control.say(raw_hello())
        await control.answer("welcome")
        if line in {b'{"type":"heartbeat"}\n', b'{"type":"drain"}\n'}:
            line = b'{"type":"heartbeat","sequence":-1}\n'
    control.say(line)
    bye = await control.answer("bye")
    assert bye["code"] == "protocol"
    assert 10 < len(bye["reason"]) < 200
    assert server.registry.tunnels(AGENT_ID) == (), "let go before the connection ends"
    async with asyncio.timeout(5):
        await conn.wait_closed()


async def test_unknown_messages_and_fields_are_ignored(
    server: TunnelServer, conn: asyncssh.SSHClientConnection
) -> None:
    control = await raw_control(conn)
    control.say(raw_hello(future_field={"a": [1, 2]}, protocol=7))
    assert (await control.answer("welcome"))["protocol"] == 1
    control.say({"type": "dance", "target": "http://shop.test/"})
    control.say({"type": "heartbeat", "sequence": 5, "load": 0.5})
    assert (await control.answer("heartbeat_ack"))["sequence"] == 5


async def test_a_second_hello_cannot_change_who_one_is(
    server: TunnelServer, conn: asyncssh.SSHClientConnection
) -> None:
    control = await raw_control(conn)
    control.say(raw_hello("raw-1"))
    await control.answer("welcome")
    control.say(raw_hello("raw-2"))
    assert "identity" in (await control.answer("bye"))["reason"]


async def test_a_client_that_asks_and_never_reads_answers_is_cut(server: TunnelServer) -> None:
    """The answers would pile up behind a window that it never opens."""
    connection = await raw_connection(server.port, server.agents.add())
    await connection.create_server(lambda host, port: Sink(), "store", 80)
    _, session = await connection.create_session(
        RawControl, subsystem=SUBSYSTEM, encoding=None, request_pty=False, window=100
    )
    assert isinstance(session, RawControl)
    session.say(raw_hello())
    (link,) = server.endpoint._context.links  # type: ignore[union-attr]  # set by start
    stream = link._conversation.stream  # type: ignore[union-attr]  # there is one after the hello
    stream._clock = lambda: stream._counted_at + 1e6  # no limit of speed: it is the backlog that is tested
    session.channel.pause_reading()
    for _ in range(3000):
        session.say({"type": "heartbeat", "sequence": 1})
    async with asyncio.timeout(5):
        await connection.wait_closed()


async def test_hostile_names_are_logged_escaped(server: TunnelServer, conn: asyncssh.SSHClientConnection) -> None:
    with capture_logs() as events:
        control = await raw_control(conn)
        control.say(raw_hello(host="evil\x1b[2J\nfake line", version="1\r\n2"))
        await control.answer("welcome")
    (ready,) = [event for event in events if event["event"] == "tunnel.ready"]
    assert ready["host"] == "evil\\x1b[2J\\nfake line"
    assert ready["version"] == "1\\r\\n2"


async def test_a_probe_that_stays_is_dropped() -> None:
    async with tunnel_server(replace(SshConfig(), probe_limit_s=0.1, bye_grace_s=0.1)) as server:
        connection = await raw_connection(server.port, server.agents.add())
        control = await raw_control(connection)
        control.say(raw_hello(kind="probe"))
        await control.answer("welcome")
        assert not server.registry.knows(AGENT_ID)
        async with asyncio.timeout(5):
            await connection.wait_closed()
