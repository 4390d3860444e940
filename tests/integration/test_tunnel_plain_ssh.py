"""The stock OpenSSH client as an emergency agent: ``ssh -N -R store:80:SHOP:80 AGENT@SERVER``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from agent.server.registry import Change
from agent.server.ssh_config import SshConfig
from agent.store_url import Store
from tests.kit.raw_agent import Sink, raw_connection, raw_control
from tests.kit.ssh_servers import AGENT_ID, LOOPBACK, SHOP, CollectingSession, TunnelServer, tunnel_server
from tests.kit.tools import require_tool
from tests.kit.until import until

OTHER = Store("http", "other.test", 80, "/")


@pytest.fixture
def ssh_config() -> SshConfig:
    return SshConfig(hello_timeout_s=1, bye_grace_s=0.2)


@asynccontextmanager
async def stock_ssh(
    server: TunnelServer, secret: str, tmp_path: Path, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """``ssh`` with the secret from an askpass program and the server's key in a known_hosts file."""
    ssh = require_tool("ssh", "openssh-client")
    askpass = tmp_path / "askpass"
    askpass.write_text('#!/bin/sh\nprintf "%s\\n" "$PLAIN_SSH_SECRET"\n')
    askpass.chmod(0o700)
    known = tmp_path / "known_hosts"
    key = server.host_key.export_public_key().decode().strip()
    known.write_text(f"[{LOOPBACK}]:{server.port} {key}\n")
    process = await asyncio.create_subprocess_exec(
        ssh,
        *("-F", "none", "-p", str(server.port), "-o", f"UserKnownHostsFile={known}"),
        *("-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes", "-o", "NumberOfPasswordPrompts=1"),
        *("-o", "ExitOnForwardFailure=yes", "-o", "IdentityFile=none", "-o", "IdentitiesOnly=yes"),
        *arguments,
        f"{AGENT_ID}@{LOOPBACK}",
        env={
            **os.environ,
            "SSH_ASKPASS": str(askpass),
            "SSH_ASKPASS_REQUIRE": "force",
            "PLAIN_SSH_SECRET": secret,
            "HOME": str(tmp_path),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def shop() -> AsyncIterator[int]:
    """A TCP service that answers with what it got, in capitals."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data.upper())
        writer.close()

    listener = await asyncio.start_server(answer, LOOPBACK, 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


async def test_stock_ssh_serves_the_one_store_of_its_record(server: TunnelServer, tmp_path: Path) -> None:
    secret = server.agents.add(plain_store=SHOP)
    async with shop() as port, stock_ssh(server, secret, tmp_path, "-N", "-R", f"store:80:{LOOPBACK}:{port}") as ssh:
        (tunnel,) = await server.wait_tunnels(1)
        assert tunnel.plain
        assert "OpenSSH" in tunnel.version
        assert server.registry.eligible(AGENT_ID, SHOP) == [tunnel]
        assert server.registry.eligible(AGENT_ID, OTHER) == []
        for _ in range(3):
            session = CollectingSession()
            await tunnel.open_channel(session)
            session.channel.write(b"hello over plain ssh")
            assert await session.wait_bytes(20) == b"HELLO OVER PLAIN SSH"
            session.channel.write_eof()
            await session.eof.wait()
            session.channel.close()
            await session.lost.wait()
        assert ssh.returncode is None
        server.agents.records.clear()
        server.registry.evict_agent(AGENT_ID)
        assert server.registry.tunnels(AGENT_ID) == ()
        async with asyncio.timeout(10):
            assert await ssh.wait() != 0


async def test_a_stock_ssh_that_ends_is_forgotten_and_may_return(server: TunnelServer, tmp_path: Path) -> None:
    secret = server.agents.add(plain_store=SHOP)
    for _ in range(2):
        async with stock_ssh(server, secret, tmp_path, "-N", "-R", f"store:80:{LOOPBACK}:9") as ssh:
            (tunnel,) = await server.wait_tunnels(1)
            with pytest.raises(asyncssh.ChannelOpenError):
                await tunnel.open_channel(CollectingSession())  # nothing listens on port 9 here
            assert server.registry.tunnels(AGENT_ID) == (tunnel,)
            ssh.terminate()
            await server.wait_tunnels(0)


async def test_a_dead_plain_client_is_noticed(tmp_path: Path) -> None:
    """It sends no heartbeats: its answers to keepalive requests are the sign of life."""
    config = SshConfig(heartbeat_interval_s=0.1, silence_limit_s=0.5, bye_grace_s=0.1)
    async with tunnel_server(config) as server:
        secret = server.agents.add(plain_store=SHOP)
        async with stock_ssh(server, secret, tmp_path, "-N", "-R", f"store:80:{LOOPBACK}:9") as ssh:
            await server.wait_tunnels(1)
            link = next(iter(server.endpoint._context.links))  # type: ignore[union-attr]  # set by start
            packets = link._conn._recv_seq
            await until(lambda: link._conn._recv_seq >= packets + 8)  # longer than the limit, and alive
            assert len(server.registry.tunnels(AGENT_ID)) == 1
            ssh.send_signal(19)  # SIGSTOP
            await server.wait_tunnels(0)
            ssh.send_signal(18)


async def test_a_newer_stock_ssh_takes_over(server: TunnelServer, tmp_path: Path) -> None:
    secret = server.agents.add(plain_store=SHOP)
    arguments = ("-N", "-R", f"store:80:{LOOPBACK}:9")
    async with stock_ssh(server, secret, tmp_path, *arguments) as old:
        (first,) = await server.wait_tunnels(1)
        async with stock_ssh(server, secret, tmp_path, *arguments):
            while len(server.changes(Change.READY)) < 2:
                await server.next_event()
            (second,) = server.registry.tunnels(AGENT_ID)
            assert second is not first
            async with asyncio.timeout(10):
                await old.wait()


@pytest.mark.parametrize(
    "arguments",
    [
        ("-N", "-R", "other:80:127.0.0.1:9"),
        ("-N", "-R", "9999:127.0.0.1:9"),
        ("-N", "-R", "store:80:127.0.0.1:9", "-R", "store:81:127.0.0.1:9"),
        ("-R", "store:80:127.0.0.1:9"),  # a shell
        ("-R", "store:80:127.0.0.1:9", "-s"),
    ],
)
async def test_stock_ssh_gets_nothing_else(server: TunnelServer, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    secret = server.agents.add(plain_store=SHOP)
    extra = ("-s",) if "-s" in arguments else ()
    arguments = tuple(argument for argument in arguments if argument != "-s")
    async with stock_ssh(server, secret, tmp_path, *extra, *arguments) as ssh:
        async with asyncio.timeout(10):
            assert await ssh.wait() == 255


async def test_stock_ssh_is_refused_for_an_ordinary_agent_and_told_why(server: TunnelServer, tmp_path: Path) -> None:
    secret = server.agents.add()
    async with stock_ssh(server, secret, tmp_path, "-N", "-R", f"store:80:{LOOPBACK}:9") as ssh:
        async with asyncio.timeout(10):
            _, said = await ssh.communicate()
        assert ssh.returncode == 255
        assert b"--plain-ssh" in said
    assert not server.registry.knows(AGENT_ID)


async def test_stock_ssh_with_a_wrong_secret(server: TunnelServer, tmp_path: Path) -> None:
    server.agents.add(plain_store=SHOP)
    async with stock_ssh(server, "wrong", tmp_path, "-N", "-R", f"store:80:{LOOPBACK}:9") as ssh:
        async with asyncio.timeout(10):
            assert await ssh.wait() == 255


async def test_a_client_without_openssh_in_its_name_needs_the_control_channel(server: TunnelServer) -> None:
    """A plain client that hides what it is gets no tunnel of an ordinary agent."""
    connection = await raw_connection(server.port, server.agents.add())
    await connection.create_server(lambda host, port: Sink(), "store", 80)
    async with asyncio.timeout(10):
        await connection.wait_closed()
    assert not server.registry.knows(AGENT_ID)


async def test_a_plain_record_has_no_control_channel(server: TunnelServer) -> None:
    connection = await raw_connection(server.port, server.agents.add(plain_store=SHOP))
    with pytest.raises(asyncssh.ChannelOpenError):
        await raw_control(connection)
    connection.abort()


async def test_a_plain_client_that_asks_for_no_forward_is_dropped(server: TunnelServer) -> None:
    connection = await raw_connection(server.port, server.agents.add(plain_store=SHOP))
    async with asyncio.timeout(10):
        await connection.wait_closed()
