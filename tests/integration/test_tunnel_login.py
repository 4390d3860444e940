"""The agent's login: the host key is checked before the secret is sent, and what a refusal means."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace

import asyncssh
import pytest
from structlog.testing import capture_logs

from agent.tunnel.ending import EndReason
from agent.tunnel.state import State
from agent.tunnel.token import AccessToken
from tests.kit.ssh_servers import (
    AGENT_ID,
    LOOPBACK,
    SecretCollector,
    TunnelServer,
)
from tests.kit.tunnel_agent import FAST, SLOW_LANE_FOR_EVER, agent, in_state


@pytest.mark.parametrize("host_key_type", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"])
async def test_a_wrong_host_key_never_sees_the_secret(server: TunnelServer, host_key_type: str) -> None:
    async with SecretCollector(host_key_type) as impostor:
        right = server.token(server.agents.add())
        token = AccessToken((f"{LOOPBACK}:{impostor.port}",), right.pins, right.agent_id, right.secret)
        async with agent(token) as supervisor:
            await supervisor.wait_for(lambda sup: sup.status()[0].attempts >= 3)
            (status,) = supervisor.status()
        assert impostor.connections >= 2
        assert impostor.passwords == []
        assert impostor.user_names == []
        if host_key_type == "ssh-ed25519":
            assert status.last_ending is not None
            assert status.last_ending.reason is EndReason.WRONG_HOST_KEY
            assert impostor.host_key.get_fingerprint("sha256") in status.last_ending.detail
            assert right.pins[0] in status.last_ending.detail


async def test_the_impostor_would_have_got_the_secret_of_an_unpinned_client() -> None:
    """The double works: the tests above fail when the pin check does not happen."""
    async with SecretCollector() as impostor:
        token = AccessToken(
            (f"{LOOPBACK}:{impostor.port}",), (impostor.host_key.get_fingerprint("sha256"),), "agent-1", "s" * 43
        )
        async with agent(token) as supervisor:
            await supervisor.wait_for(lambda sup: sup.status()[0].attempts >= 2)
        assert impostor.passwords[0] == "s" * 43


async def test_a_wrong_host_key_is_one_error_in_the_slow_lane(server: TunnelServer) -> None:
    async with SecretCollector() as impostor:
        right = server.token(server.agents.add())
        token = AccessToken((f"{LOOPBACK}:{impostor.port}",), right.pins, right.agent_id, right.secret)
        with capture_logs() as events:
            async with agent(token) as supervisor:
                await supervisor.wait_for(lambda sup: sup.status()[0].attempts >= 3)
        refused = [event for event in events if event["event"] == "tunnel.refused"]
        assert [event["log_level"] for event in refused][:2] == ["error", "debug"]
        assert right.secret not in str(events)


async def test_a_second_pin_serves_during_rotation(server: TunnelServer) -> None:
    right = server.token(server.agents.add())
    other = asyncssh.generate_private_key("ssh-ed25519").get_fingerprint("sha256")
    async with agent(AccessToken(right.servers, (other, *right.pins), right.agent_id, right.secret)):
        await server.wait_tunnels(1)


async def test_a_refused_token_is_told_apart_and_goes_to_the_slow_lane(server: TunnelServer) -> None:
    token = server.token(server.agents.add())
    server.agents.add()  # another secret: the first one is revoked
    with capture_logs() as events:
        async with agent(token, SLOW_LANE_FOR_EVER) as supervisor:
            await supervisor.wait_for(in_state(State.SLOW))
            (status,) = supervisor.status()
    assert status.last_ending is not None
    assert status.last_ending.reason is EndReason.TOKEN_REFUSED
    assert "well-formed" in status.last_ending.detail
    assert "revoked" in status.last_ending.detail
    assert status.next_attempt_in_s is not None
    assert status.next_attempt_in_s >= 290
    assert [event["log_level"] for event in events if event["event"] == "tunnel.refused"] == ["error"]
    assert [event["agent_id"] for event in events if event["event"] == "agent.login_refused"] == [AGENT_ID]
    assert token.secret not in str(events)


async def test_a_server_that_says_permission_denied_by_itself_is_no_reason_for_the_slow_lane() -> None:
    """A server can send any disconnect code; only what this side saw counts."""

    class Liar(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            raise asyncssh.PermissionDenied("no")

    key = asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen(LOOPBACK, 0, server_factory=Liar, server_host_keys=[key], gss_host=None)
    token = AccessToken((f"{LOOPBACK}:{acceptor.get_port()}",), (key.get_fingerprint("sha256"),), "agent-1", "s" * 43)
    async with agent(token) as supervisor:
        await supervisor.wait_for(lambda sup: sup.status()[0].attempts >= 3)
        (status,) = supervisor.status()
    acceptor.close()
    assert status.last_ending is not None
    assert status.last_ending.reason is EndReason.HANDSHAKE


async def test_the_next_server_of_the_token_is_tried(server: TunnelServer) -> None:
    right = server.token(server.agents.add())
    token = AccessToken((f"{LOOPBACK}:1", *right.servers), right.pins, right.agent_id, right.secret)
    async with agent(token) as supervisor:
        await server.wait_tunnels(1)
        await supervisor.wait_for(in_state(State.READY))
        assert supervisor.status()[0].server == right.servers[0]


async def test_a_server_that_says_nothing_is_given_up() -> None:
    release = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    listener = await asyncio.start_server(silent, LOOPBACK, 0)
    port = listener.sockets[0].getsockname()[1]
    token = AccessToken((f"{LOOPBACK}:{port}",), ("SHA256:" + "A" * 43,), "agent-1", "s" * 43)
    async with agent(token, replace(FAST, login_timeout_s=0.1)) as supervisor:
        await supervisor.wait_for(lambda sup: sup.status()[0].attempts >= 3)
        (status,) = supervisor.status()
    release.set()
    listener.close()
    assert status.last_ending is not None
    assert status.last_ending.reason is EndReason.HANDSHAKE


async def test_a_server_whose_packets_make_asyncssh_stumble_is_one_that_failed() -> None:
    """Not a defect of ours with a traceback for each attempt: asyncssh raises a ValueError for an empty packet."""
    empty_packet = struct.pack(">IB", 12, 11) + bytes(11)

    async def stumble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-any\r\n" + empty_packet)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(stumble, LOOPBACK, 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        token = AccessToken((f"{LOOPBACK}:{port}",), ("SHA256:" + "A" * 43,), "agent-1", "s" * 43)
        with capture_logs() as events:
            async with agent(token) as supervisor:
                await supervisor.wait_for(lambda sup: sup.status()[0].attempts >= 3)
                (status,) = supervisor.status()
    assert status.last_ending is not None
    assert status.last_ending.reason is EndReason.HANDSHAKE
    assert not [event for event in events if event["event"] == "tunnel.failed"]
