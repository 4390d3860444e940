"""The gateway: the server's HTTP data plane for integrations."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from agent.errors import ServerDraining, StartError
from agent.server.addresses import why_not_listening
from agent.server.client import ClientConnection
from agent.server.cloud import CloudForwarder
from agent.server.gateway_context import GatewayContext, GatewayLimits, GatewayRecord
from agent.server.registry import Registry
from agent.server.routes import RoutingTable
from agent.server.upstreams import Upstreams

_BACKLOG = 1024


class Gateway:
    """Listens for clients and forwards their exchanges.

    ``cloud`` is made by ``make_cloud`` because its tasks belong to the gateway.
    """

    def __init__(
        self,
        table: RoutingTable,
        registry: Registry,
        make_cloud: Callable[[GatewayContext], CloudForwarder],
        limits: GatewayLimits | None = None,
        record: Callable[[GatewayRecord], None] = lambda _record: None,
    ) -> None:
        self.context = GatewayContext(table, limits or GatewayLimits(), record)
        self._cloud = make_cloud(self.context)
        self.context.upstreams = Upstreams(self.context, registry, self._cloud)
        self._clients: set[ClientConnection] = set()
        self._servers: list[asyncio.Server] = []

    def __repr__(self) -> str:
        return f"<Gateway {len(self._clients)} clients, {self.context.active} exchanges>"

    @property
    def port(self) -> int:
        """The port of the first listener."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen on ``host:port`` (0: a free one). Raises ``StartError`` when that is not possible."""
        try:
            server = await self.context.loop.create_server(
                lambda: ClientConnection(self.context, self._clients), host, port, ssl=tls, backlog=_BACKLOG
            )
        except OSError as error:
            raise StartError(
                why_not_listening("The gateway", host, port, error, option="--gateway-listen", setting="gateway.listen")
            ) from None
        for listening in server.sockets:
            # Answers are written whole; waiting for an ACK to send the rest of one would cost 40 ms.
            with contextlib.suppress(OSError):
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._servers.append(server)

    async def close(self, drain_s: float = 0.0) -> None:
        """Take no new connection, let running exchanges end for ``drain_s`` seconds, then close everything.

        An exchange has ended when its client has the whole answer, which is when the client's connection is gone. What
        still waits for a tunnel or for its turn is refused at once.
        """
        for server in self._servers:
            server.close()
        self.context.draining = True
        for client in tuple(self._clients):
            client.close_idle()
        self.context.refuse_waiting(ServerDraining())
        self.context.upstreams.wake_all()
        if drain_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    while self.context.active or self._clients:
                        await self.context.next_end()
        await self.context.close()
        self.context.upstreams.close()
        await self._cloud.close()
        for client in tuple(self._clients):
            client.abort()
