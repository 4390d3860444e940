"""SSH servers for tests: our own endpoint that can be killed and come back, and one that collects secrets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import asyncssh

from agent.server.agent_record import AgentRecord
from agent.server.registry import Change, Registry, RegistryEvent
from agent.server.ssh_config import SshConfig
from agent.server.sshd import SshEndpoint
from agent.server.tunnel import Tunnel
from agent.store_url import Store
from agent.streams import ByteChannel
from agent.tunnel.token import AccessToken, new_secret

AGENT_ID = "agent-1"
LOOPBACK = "127.0.0.1"
SHOP = Store("http", "shop.test", 80, "/")


@dataclass
class AgentTable:
    """Who may log in; a dictionary that tests change while the server runs."""

    records: dict[str, tuple[AgentRecord, str]] = field(default_factory=dict)

    def add(self, agent_id: str = AGENT_ID, max_instances: int = 1, plain_store: Store | None = None) -> str:
        """Register an agent; returns its secret."""
        secret = new_secret()
        self.records[agent_id] = (AgentRecord(agent_id, f"name of {agent_id}", max_instances, plain_store), secret)
        return secret

    def authenticate(self, agent_id: str, secret: str) -> AgentRecord | None:
        """What the endpoint calls."""
        record, right = self.records.get(agent_id, (None, ""))
        return record if record is not None and secret == right else None


class TunnelServer:
    """The real endpoint and registry on a loopback port that stays the same when it is killed and started again."""

    def __init__(self, config: SshConfig | None = None, pool_factory: Callable[[Tunnel], object] | None = None) -> None:
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.config = config or SshConfig()
        self.agents = AgentTable()
        self.host = LOOPBACK
        self.port = 0
        self.events: list[RegistryEvent] = []
        self._changed = asyncio.Event()
        self._pool_factory = pool_factory
        self.registry = Registry()
        self.endpoint: SshEndpoint | None = None

    async def start(self) -> None:
        """Listen, with an empty registry."""
        self.registry = Registry(self._pool_factory)  # type: ignore[arg-type]  # a double of the pool
        self.registry.subscribe(self._record)
        self.endpoint = SshEndpoint(self.host_key, self.agents.authenticate, self.registry, self.config)
        await self.endpoint.start(self.host, self.port)
        self.port = self.endpoint.port

    def kill(self) -> None:
        """End like a process that was killed: every connection reset, nothing said."""
        assert self.endpoint is not None
        self.endpoint.stop_accepting()
        if self.endpoint._sweep is not None:
            self.endpoint._sweep.cancel()
        for link in tuple(self.endpoint._context.links):
            link._conn.abort()
        self.endpoint = None

    async def close(self) -> None:
        """End properly."""
        if self.endpoint is not None:
            await self.endpoint.close()
            self.endpoint = None

    def token(self, secret: str, agent_id: str = AGENT_ID) -> AccessToken:
        """An access token for this server."""
        return AccessToken((f"{self.host}:{self.port}",), (self.host_key.get_fingerprint("sha256"),), agent_id, secret)

    async def wait_tunnels(self, count: int, agent_id: str = AGENT_ID) -> tuple[Tunnel, ...]:
        """Until the agent has exactly ``count`` tunnels."""
        while len(self.registry.tunnels(agent_id)) != count:
            await self.next_event()
        return self.registry.tunnels(agent_id)

    async def next_event(self) -> RegistryEvent:
        """The next change of the registry."""
        self._changed.clear()
        await self._changed.wait()
        return self.events[-1]

    def changes(self, change: Change) -> list[RegistryEvent]:
        """What happened so far, of one kind."""
        return [event for event in self.events if event.change is change]

    def _record(self, event: RegistryEvent) -> None:
        self.events.append(event)
        self._changed.set()


@asynccontextmanager
async def tunnel_server(config: SshConfig | None = None) -> AsyncIterator[TunnelServer]:
    """A ``TunnelServer`` that is up."""
    server = TunnelServer(config)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


class SecretCollector:
    """An SSH server with a host key of its own that says yes to everybody and remembers what it was told."""

    def __init__(self, host_key_type: str = "ssh-ed25519") -> None:
        self.host_key = asyncssh.generate_private_key(host_key_type)
        self.user_names: list[str] = []
        self.passwords: list[str] = []
        self.connections = 0
        self.closed_connections = 0
        self.acceptor: asyncssh.SSHAcceptor | None = None

    @property
    def port(self) -> int:
        assert self.acceptor is not None
        return self.acceptor.get_port()

    async def __aenter__(self) -> Self:
        self.acceptor = await asyncssh.listen(
            LOOPBACK, 0, server_factory=lambda: _Collecting(self), server_host_keys=[self.host_key], gss_host=None
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.acceptor is not None
        self.acceptor.close()


class _Collecting(asyncssh.SSHServer):
    def __init__(self, collector: SecretCollector) -> None:
        self.collector = collector

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.collector.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.collector.closed_connections += 1

    def begin_auth(self, username: str) -> bool:
        self.collector.user_names.append(username)
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self.collector.passwords.append(password)
        return True


class EchoSession:
    """A ``ByteSession`` that sends back what comes, and half-closes in answer to a half-close."""

    def __init__(self) -> None:
        self.channel: ByteChannel
        self.lost = False

    def connection_made(self, channel: ByteChannel) -> None:
        self.channel = channel

    def data_received(self, data: bytes) -> None:
        self.channel.write(data)

    def eof_received(self) -> None:
        self.channel.write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True

    def pause_writing(self) -> None:
        self.channel.pause_reading()

    def resume_writing(self) -> None:
        self.channel.resume_reading()


class CollectingSession:
    """A ``ByteSession`` that keeps what it is told, and can be waited for."""

    def __init__(self) -> None:
        self.channel: ByteChannel
        self.received = bytearray()
        self.pauses = 0
        self.paused = False
        self.eof = asyncio.Event()
        self.opened = asyncio.Event()
        self.lost = asyncio.Event()
        self.error: Exception | None = None
        self._more = asyncio.Event()

    async def wait_bytes(self, count: int) -> bytes:
        while len(self.received) < count and not self.lost.is_set():
            self._more.clear()
            await self._more.wait()
        return bytes(self.received)

    def connection_made(self, channel: ByteChannel) -> None:
        self.channel = channel
        self.opened.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._more.set()

    def eof_received(self) -> None:
        self.eof.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.error = error
        self.lost.set()
        self._more.set()

    def pause_writing(self) -> None:
        self.pauses += 1
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
