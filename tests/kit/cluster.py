"""A whole installation in one process, over real sockets: SSH endpoint, registry, gateway, and agents that dial in.

Mode ``tunnel`` puts an agent and a reverse SSH tunnel between the gateway and the stores, mode ``cloud`` the
forwarder of the server itself, so that one test can run both ways. All ports are chosen by the kernel.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

import asyncssh

from agent import __version__
from agent.forward.context import ExchangeRecord, ForwardContext
from agent.forward.dialer import TcpDialer
from agent.forward.pool import OriginPool, PoolLimits
from agent.forward.session import ForwardSession
from agent.forward.target import ForwardTimeouts, StoreTable, StoreTarget, tls_context
from agent.policy import METHODS, Rule
from agent.server.agent_record import AgentRecord
from agent.server.channel_limits import ChannelLimits
from agent.server.cloud import CloudForwarder
from agent.server.gateway import Gateway
from agent.server.gateway_context import GatewayContext, GatewayLimits, GatewayRecord
from agent.server.registry import Registry
from agent.server.routes import KeyGrant, Route, RoutingTable
from agent.server.ssh_config import SshConfig
from agent.server.sshd import SshEndpoint
from agent.server.tunnel import Tunnel
from agent.store_url import Store
from agent.tunnel.backoff import BackoffLimits
from agent.tunnel.config import TunnelConfig
from agent.tunnel.messages import Grant, Hello
from agent.tunnel.supervisor import Supervisor
from agent.tunnel.token import AccessToken, new_secret
from tests.kit.raw_client import RawClient

Mode = Literal["tunnel", "cloud"]

LOOPBACK = "127.0.0.1"
AGENT_ID = "agent-under-test"
CLIENT_KEY = "CLIENTKEY0CLIENTKEY0CLIENTKEY000"
API_KEY = "APIKEY000APIKEY000APIKEY000APIKE"
FAST_BACKOFF = BackoffLimits(first_s=0.05, cap_s=0.2)


def loopback_store(port: int, *, scheme: str = "http", base_path: str = "/", id_shop: str = "") -> Store:
    """The store value of a test server on ``port``."""
    return Store(scheme, LOOPBACK, port, base_path, "", id_shop)


@dataclass(frozen=True)
class Link:
    """One connection, and how the agent opens its store; the agent opens every method unless ``agent_rule`` says
    otherwise.

    ``dialer`` replaces the way to the store on the agent (CA file, another address); ``on_agent`` False leaves the
    store out of the agent's settings.
    """

    slug: str
    store: Store
    shop_host: str | None = None
    api_key: str = API_KEY
    key_in: Literal["basic", "ws_key"] = "basic"
    rule: Rule | None = None
    agent_rule: Rule | None = None
    dialer: TcpDialer | None = None
    on_agent: bool = True
    concurrency: int = 8
    connections_max: int = 100

    def route(self, mode: Mode) -> Route:
        """The connection as the gateway has it."""
        return Route(
            connection_id=f"id-{self.slug}",
            slug=self.slug,
            name=self.slug,
            mode="cloud" if mode == "cloud" else "on-premise",
            agent_id=None if mode == "cloud" else AGENT_ID,
            store=self.store,
            enabled=True,
            api_key=self.api_key,
            key_in=self.key_in,
            rule=self.rule or Rule(self.store, frozenset(METHODS)),
            concurrency=self.concurrency,
            shop_host=self.shop_host,
        )

    def target(self, timeouts: ForwardTimeouts) -> StoreTarget:
        """The store as the agent has it."""
        store = self.store
        dialer = self.dialer or TcpDialer(
            store.host,
            store.port,
            tls=tls_context(store, None, verify=True),
            connect_timeout_s=timeouts.connect_s,
            tls_timeout_s=timeouts.tls_s,
        )
        return StoreTarget(
            rule=self.agent_rule or Rule(store, frozenset(METHODS)),
            host=(self.shop_host or store.authority).encode(),
            pool=OriginPool(dialer, PoolLimits(connections_max=self.connections_max)),
        )


class ClusterAgent:
    """One agent instance: forwarder and supervised tunnels."""

    def __init__(
        self, token: AccessToken, links: Iterable[Link], timeouts: ForwardTimeouts, config: TunnelConfig
    ) -> None:
        self.records: list[ExchangeRecord] = []
        targets: dict[Store, StoreTarget] = {}
        for link in links:
            if link.on_agent and link.store not in targets:
                targets[link.store] = link.target(timeouts)
        self.context = ForwardContext(StoreTable(targets.values()), timeouts=timeouts, record=self.records.append)
        self.instance_id = str(uuid.uuid4())
        self.supervisor = Supervisor(config, token, self._hello, self._session, in_flight=lambda: self.context.active)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to dial."""
        self._task = asyncio.create_task(self.supervisor.run(), name="cluster-agent")

    async def stop(self) -> None:
        """End at once, as a process that is told to by SIGKILL would, but for what the loop must clean up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.context.close()

    def _hello(self, index: int) -> Hello:
        grants = [Grant.from_rule(target.rule) for target in self.context.table.targets]
        return Hello(
            version=__version__, instance_id=self.instance_id, tunnel_index=index, host="cluster", stores=grants
        )

    def _session(self, nonce: bytes) -> ForwardSession:
        return ForwardSession(self.context, nonce)


@dataclass
class Cluster:
    """Server, agents and connections; ``async with`` starts them and waits until the tunnels are up.

    ``plain_store`` makes the agent's record one for stock ssh; no agent is started then.
    """

    links: Sequence[Link]
    mode: Mode = "tunnel"
    agents: int = 1
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    timeouts: ForwardTimeouts = field(default_factory=ForwardTimeouts)
    tunnel: TunnelConfig = field(default_factory=lambda: TunnelConfig(tunnels=2, backoff=FAST_BACKOFF))
    ssh: SshConfig = field(default_factory=SshConfig)
    plain_store: Store | None = None
    channels: ChannelLimits = field(default_factory=ChannelLimits)

    def __post_init__(self) -> None:
        self.records: list[GatewayRecord] = []
        self.running: list[ClusterAgent] = []
        self.secret = new_secret()
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.ssh_port = 0
        self.registry: Registry
        self.gateway: Gateway
        self.endpoint: SshEndpoint | None = None
        self.table = RoutingTable()

    # -- life ----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self.registry = Registry(lambda tunnel: self.gateway.pools.make(tunnel))  # noqa: PLW0108 - made below
        self.set_links(self.links)
        self.gateway = Gateway(
            self.table, self.registry, self._cloud, self.limits, self.records.append, channels=self.channels
        )
        await self.gateway.start(LOOPBACK, 0)
        if self.mode == "tunnel":
            await self.start_endpoint()
            if self.plain_store is None:
                for _ in range(self.agents):
                    self.start_agent()
                await self.wait_tunnels(self.agents * self.tunnel.tunnels)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for agent in self.running:
            await agent.stop()
        await self.gateway.close()
        if self.endpoint is not None:
            await self.endpoint.close()

    def set_links(self, links: Sequence[Link]) -> None:
        """Fill the gateway's tables; the agent keeps what it was started with."""
        self.links = links
        grant = KeyGrant("key-1", hashlib.sha256(CLIENT_KEY.encode()).digest(), None)
        self.table.replace([link.route(self.mode) for link in links], [grant])

    # -- the server ----------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The gateway's port."""
        return self.gateway.port

    def client(self) -> RawClient:
        """A connection to the gateway, to be entered."""
        return RawClient(self.port)

    async def start_endpoint(self) -> None:
        """Listen for agents, on the same port as before where there was one."""
        self.endpoint = SshEndpoint(self.host_key, self._authenticate, self.registry, self.ssh)
        await self.endpoint.start(LOOPBACK, self.ssh_port)
        self.ssh_port = self.endpoint.port

    def kill_endpoint(self) -> None:
        """End the SSH side as a killed process does: every connection reset, nothing said, the port free."""
        endpoint, self.endpoint = self.endpoint, None
        assert endpoint is not None
        endpoint.stop_accepting()
        assert endpoint._sweep is not None
        endpoint._sweep.cancel()
        self.cut_tunnels(endpoint)

    def cut_tunnels(self, endpoint: SshEndpoint | None = None) -> None:
        """Reset every SSH connection; the endpoint goes on listening."""
        endpoint = endpoint or self.endpoint
        assert endpoint is not None
        for link in tuple(endpoint._context.links):
            link._conn.abort()

    @property
    def tunnels(self) -> tuple[Tunnel, ...]:
        """What the registry has of the agent now."""
        return self.registry.tunnels(AGENT_ID)

    async def wait_tunnels(self, count: int, timeout_s: float = 20.0) -> None:
        """Until the agent has so many tunnels."""
        changed = asyncio.Event()
        unsubscribe = self.registry.subscribe(lambda _event: changed.set())
        try:
            async with asyncio.timeout(timeout_s):
                while len(self.tunnels) != count:
                    changed.clear()
                    await changed.wait()
        finally:
            unsubscribe()

    # -- agents --------------------------------------------------------------------------------------------------

    @property
    def token(self) -> AccessToken:
        """What installs the agent."""
        pin = self.host_key.get_fingerprint("sha256")
        return AccessToken((f"{LOOPBACK}:{self.ssh_port}",), (pin,), AGENT_ID, self.secret)

    def start_agent(self, links: Sequence[Link] | None = None) -> ClusterAgent:
        """Start one more instance; it is ended with the cluster."""
        agent = ClusterAgent(self.token, self.links if links is None else links, self.timeouts, self.tunnel)
        self.running.append(agent)
        agent.start()
        return agent

    # -- inside --------------------------------------------------------------------------------------------------

    def _authenticate(self, agent_id: str, secret: str) -> AgentRecord | None:
        if (agent_id, secret) != (AGENT_ID, self.secret):
            return None
        return AgentRecord(AGENT_ID, "agent of the test", self.agents, self.plain_store)

    def _cloud(self, context: GatewayContext) -> CloudForwarder:
        allowed = [ipaddress.ip_network("127.0.0.0/8")]
        return CloudForwarder(context.spawn, allowed=allowed, timeouts=self.timeouts)
