"""A gateway without sockets: the way up and the client are played by the test."""

from __future__ import annotations

import asyncio

from agent.errors import AgentOffline, ExchangeError
from agent.http1 import parse_request_head
from agent.server.channel_limits import ChannelLimits
from agent.server.channel_pool import ChannelPool
from agent.server.channels import UpstreamChannel
from agent.server.exchange import Exchange
from agent.server.gateway_context import GatewayContext, GatewayLimits, GatewayRecord
from agent.server.order import take_order
from agent.server.routes import Route
from agent.streams import ByteSession
from tests.kit.memory_channel import MemoryChannel
from tests.unit.server_plane.test_order import BASIC, NOW, route, table_of

NONCE = b"ab" * 16


class Tunnel:
    """The way up: each ``take`` finds nothing, each ``find`` opens a channel to an agent that the test plays."""

    def __init__(self, context: GatewayContext, *, plain: bool) -> None:
        self.channels: list[MemoryChannel] = []
        self.offline = False
        self.pool = ChannelPool(self._open, context.spawn, nonce=NONCE, plain=plain, limits=ChannelLimits(warm_min=0))

    def take(self, route: Route, *, for_write: bool) -> UpstreamChannel | None:
        return self.pool.take(for_write=for_write)

    async def find(self, route: Route, *, for_write: bool) -> UpstreamChannel:
        if self.offline:
            raise AgentOffline
        return await self.pool.open()

    async def _open(self, session: ByteSession) -> None:
        channel = MemoryChannel(session)
        self.channels.append(channel)
        session.connection_made(channel)


class Client:
    """Who asked; records what it is told."""

    def __init__(self, *, body_done: bool = True) -> None:
        self.body_done = body_done
        self.received = bytearray()
        self.events: list[str] = []
        self.error: ExchangeError | None = None

    def send(self, data: bytes) -> None:
        self.received += data

    def want_body(self) -> None:
        self.events.append("want")

    def hold_body(self) -> None:
        self.events.append("hold")

    def answered(self, *, close: bool) -> None:
        self.events.append("answered, close" if close else "answered")

    def refuse(self, error: ExchangeError) -> None:
        self.error = error
        self.events.append(f"refused {error.name}")

    def cut(self) -> None:
        self.events.append("cut")


class Bench:
    """A gateway without sockets."""

    def __init__(self, *, plain: bool = False, limits: GatewayLimits | None = None) -> None:
        self.records: list[GatewayRecord] = []
        self.table = table_of(route(mode="on-premise", agent_id="a"))
        self.context = GatewayContext(self.table, limits or GatewayLimits(), self.records.append)
        self.tunnel = Tunnel(self.context, plain=plain)
        self.context.upstreams = self.tunnel  # type: ignore[assignment]  # a double of Upstreams

    async def begin(self, client: Client, method: bytes = b"GET", fields: bytes = b"") -> Exchange:
        """An exchange whose head has gone into a channel, if there is one."""
        raw = method + b" /lyon/api/products HTTP/1.1\r\nHost: gw\r\n" + BASIC + fields + b"\r\n"
        order = take_order(parse_request_head(raw), self.table, NOW)
        assert order.error is None
        assert order.route is not None
        exchange = Exchange(self.context, client, order, order.route)
        exchange.begin()
        await self.settle()
        return exchange

    async def settle(self) -> None:
        """Until the background tasks have run."""
        await asyncio.sleep(0)  # what is due in this turn of the loop may begin some
        while self.context._tasks:
            await asyncio.gather(*self.context._tasks, return_exceptions=True)
