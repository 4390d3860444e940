"""What the SSH endpoint must refuse: everything but one forward of store:80 and one control channel."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import Boolean, String, UInt32

from agent.server.doorkeeper import DoorLimits
from agent.server.ssh_config import SshConfig
from agent.tunnel.algorithms import SUBSYSTEM
from tests.kit.raw_agent import Sink, raw_connection, raw_control, raw_hello
from tests.kit.ssh_servers import AGENT_ID, SHOP, CollectingSession, TunnelServer

MANY = DoorLimits(free_failures=10_000)


@pytest.fixture
def ssh_config() -> SshConfig:
    return SshConfig(bye_grace_s=0.2, door=MANY)


async def assert_useful(server: TunnelServer, conn: asyncssh.SSHClientConnection) -> None:
    """After a refusal the connection can still become a tunnel: refusing harmed nothing."""
    control = await raw_control(conn)
    control.say(raw_hello())
    await control.answer("welcome")
    (tunnel,) = server.registry.tunnels(AGENT_ID)
    await tunnel.open_channel(CollectingSession())


async def refused_session(conn: asyncssh.SSHClientConnection, **what: Any) -> None:
    """A session channel of its own that asks for ``what``."""
    with pytest.raises(asyncssh.ChannelOpenError):
        async with asyncio.timeout(5):
            await conn.create_session(asyncssh.SSHClientSession, **what)


@pytest.mark.parametrize(
    "what",
    [
        {"command": None, "request_pty": False},
        {"command": "id", "request_pty": False},
        {"command": "scp -t /tmp", "request_pty": False},
        {"subsystem": "sftp", "request_pty": False},
        {"subsystem": "netconf", "request_pty": False},
        {"subsystem": "agent-contro", "request_pty": False},
        {"subsystem": "", "request_pty": False},
    ],
)
async def test_no_shell_command_or_other_subsystem(
    server: TunnelServer, conn: asyncssh.SSHClientConnection, what: dict[str, Any]
) -> None:
    await refused_session(conn, **what)
    # The one session channel is used up: a client that asked for a shell is no agent.
    with pytest.raises(asyncssh.ChannelOpenError):
        await raw_control(conn)


async def test_no_pty_env_agent_or_x11(server: TunnelServer, conn: asyncssh.SSHClientConnection) -> None:
    control = await raw_control(conn)
    channel = control.channel
    requests: list[tuple[bytes, tuple[bytes, ...]]] = [
        (b"pty-req", (String("xterm"), UInt32(80), UInt32(24), UInt32(0), UInt32(0), String(b"\0"))),
        (b"env", (String("LD_PRELOAD"), String("x" * 30_000))),
        (b"auth-agent-req@openssh.com", ()),
        (b"x11-req", (Boolean(False), String("MIT-MAGIC-COOKIE-1"), String("00" * 16), UInt32(0))),
        (b"shell", ()),
        (b"exec", (String("id"),)),
        (b"subsystem", (String(SUBSYSTEM),)),
        (b"subsystem", (String("sftp"),)),
        (b"break", (UInt32(1),)),
        (b"nobody-knows@example.com", ()),
    ]
    for name, fields in requests:
        async with asyncio.timeout(5):
            assert await channel._make_request(name, *fields) is False, name
    (link,) = server.endpoint._context.links  # type: ignore[union-attr]  # set by start
    (server_channel,) = [each for each in link._conn._channels.values() if isinstance(each, asyncssh.SSHServerChannel)]
    assert not server_channel._env
    assert link._conn._agent_listener is None
    control.say(raw_hello())
    await control.answer("welcome")


async def test_env_is_not_kept_however_often(server: TunnelServer, conn: asyncssh.SSHClientConnection) -> None:
    control = await raw_control(conn)
    for number in range(200):
        control.channel._send_request(b"env", String(f"N{number}"), String("x" * 10_000))
    control.say(raw_hello())
    await control.answer("welcome")
    (link,) = server.endpoint._context.links  # type: ignore[union-attr]  # set by start
    (server_channel,) = [each for each in link._conn._channels.values() if isinstance(each, asyncssh.SSHServerChannel)]
    assert not server_channel._env


async def test_no_second_session(server: TunnelServer, conn: asyncssh.SSHClientConnection) -> None:
    control = await raw_control(conn)
    with pytest.raises(asyncssh.ChannelOpenError):
        await raw_control(conn)
    control.say(raw_hello())
    await control.answer("welcome")
    with pytest.raises(asyncssh.ChannelOpenError):
        await raw_control(conn)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("store", 80),
        ("store", 81),
        ("store", 0),
        ("", 80),
        ("", 0),
        ("localhost", 80),
        ("localhost", 0),
        ("0.0.0.0", 2222),
        ("*", 80),
        ("store.", 80),
        ("store\0", 80),
        ("store", 65616),
    ],
)
async def test_no_second_or_other_forward(
    server: TunnelServer, conn: asyncssh.SSHClientConnection, host: str, port: int
) -> None:
    with pytest.raises(asyncssh.ChannelListenError):
        await conn.create_server(lambda h, p: Sink(), host, port)
    await assert_useful(server, conn)


async def test_no_channels_from_the_agent(server: TunnelServer, conn: asyncssh.SSHClientConnection) -> None:
    with pytest.raises(asyncssh.ChannelOpenError):
        await conn.create_connection(Sink, "127.0.0.1", server.port)
    with pytest.raises(asyncssh.ChannelOpenError):
        await conn.create_connection(Sink, "store", 80)
    with pytest.raises(asyncssh.ChannelOpenError):
        await conn.create_unix_connection(Sink, "/run/integration-server/admin.sock")  # type: ignore[arg-type]  # a session is a session, whatever the channel
    with pytest.raises(asyncssh.ChannelListenError):
        await conn.create_unix_server(Sink, "/tmp/x")
    for opening in (conn.create_tun, conn.create_tap):
        with pytest.raises(asyncssh.ChannelOpenError):
            await opening(asyncssh.SSHTunTapSession)
    for kind in (b"x11", b"forwarded-tcpip", b"auth-agent@openssh.com", b"nobody-knows@example.com"):
        channel = conn.create_tcp_channel()
        with pytest.raises(asyncssh.ChannelOpenError):
            await channel._open(kind, String("h"), UInt32(1), String("h"), UInt32(1))
    await assert_useful(server, conn)


async def test_unknown_global_requests_are_refused(server: TunnelServer, conn: asyncssh.SSHClientConnection) -> None:
    success, failure = 81, 82
    for name, expected in (
        (b"nobody-knows@example.com", failure),
        (b"hostkeys-prove-00@openssh.com", failure),
        (b"no-more-sessions@openssh.com", failure),
        (b"keepalive@openssh.com", success),  # a sign of life, nothing is granted by it
    ):
        kind, _ = await conn._make_global_request(name)
        assert kind == expected, name
    await assert_useful(server, conn)


async def test_cancelling_an_unknown_forward_ends_the_connection(
    server: TunnelServer, conn: asyncssh.SSHClientConnection
) -> None:
    conn._send_global_request(b"cancel-tcpip-forward", String("other"), UInt32(1), want_reply=True)
    async with asyncio.timeout(5):
        await conn.wait_closed()


async def test_cancelling_the_forward_drains_the_tunnel(server: TunnelServer) -> None:
    connection = await raw_connection(server.port, server.agents.add())
    listener = await connection.create_server(lambda host, port: Sink(), "store", 80)
    await assert_useful(server, connection)
    listener.close()
    await listener.wait_closed()
    (tunnel,) = server.registry.tunnels(AGENT_ID)
    assert tunnel.draining
    assert server.registry.eligible(AGENT_ID, SHOP) == []
    connection.abort()
