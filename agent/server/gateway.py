"""The gateway: the server's HTTP data plane for integrations."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from agent.errors import StartError
from agent.server.addresses import why_not_listening
from agent.server.channel_limits import ChannelLimits
from agent.server.channel_pools import ChannelPools
from agent.server.client import ClientConnection
from agent.server.cloud import CloudForwarder
from agent.server.gateway_context import GatewayContext, GatewayLimits, GatewayRecord, Phase
from agent.server.registry import Registry
from agent.server.routes import RoutingTable
from agent.server.upstreams import Upstreams

_BACKLOG = 1024
_PARKED_S = 5.0
_ACCEPTED_S = 0.02  # from the kernel's queue to a ClientConnection: a few turns of the loop
_HANDSHAKE_S = 1.0  # of TLS; only afterwards there is a ClientConnection


class Gateway:
    """Listens for clients and forwards their exchanges.

    ``cloud`` is made by ``make_cloud`` because its tasks belong to the gateway. ``pools`` makes what the registry's
    tunnels keep their channels in, at most ``channels`` each.
    """

    def __init__(
        self,
        table: RoutingTable,
        registry: Registry,
        make_cloud: Callable[[GatewayContext], CloudForwarder],
        limits: GatewayLimits | None = None,
        record: Callable[[GatewayRecord], None] = lambda _record: None,
        channels: ChannelLimits | None = None,
    ) -> None:
        self.context = GatewayContext(table, limits or GatewayLimits(), record)
        self._cloud = make_cloud(self.context)
        self.context.upstreams = Upstreams(self.context, registry, self._cloud)
        self.pools = ChannelPools(self.context, channels)
        self._clients: set[ClientConnection] = set()
        self._servers: list[asyncio.Server] = []
        self._shaken_by = 0.0  # loop's time at which who was accepted last has ended the handshake

    def __repr__(self) -> str:
        return f"<Gateway {len(self._clients)} clients, {self.context.active} exchanges>"

    @property
    def port(self) -> int:
        """The port of the first listener."""
        return int(self._servers[0].sockets[0].getsockname()[1])

    @property
    def accepts(self) -> bool:
        """True while a listener takes new connections."""
        return any(server.is_serving() for server in self._servers)

    @property
    def client_count(self) -> int:
        """Connections of clients that are open."""
        return len(self._clients)

    @property
    def is_serving(self) -> bool:
        """True while it accepts connections."""
        return bool(self._servers) and all(server.is_serving() for server in self._servers)

    @property
    def cloud(self) -> CloudForwarder:
        """What dials the stores of mode Cloud."""
        return self._cloud

    async def start(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, sock: socket.socket | None = None
    ) -> None:
        """Listen on ``host:port`` (0: a free one), or on ``sock``, which is listening already.

        Raises ``StartError`` when that is not possible.
        """
        where: dict[str, Any] = {"host": host, "port": port} if sock is None else {"sock": sock}

        def accepted() -> ClientConnection:
            self._shaken_by = self.context.loop.time() + (_HANDSHAKE_S if tls is not None else _ACCEPTED_S)
            return ClientConnection(self.context, self._clients)

        try:
            server = await self.context.loop.create_server(accepted, ssl=tls, backlog=_BACKLOG, **where)
        except OSError as error:
            raise StartError(
                why_not_listening("The gateway", host, port, error, option="--gateway-listen", setting="gateway.listen")
            ) from None
        for listening in server.sockets:
            # Answers are written whole; waiting for an ACK to send the rest of one would cost 40 ms.
            with contextlib.suppress(OSError):
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._servers.append(server)

    async def drain(self, limit_s: float) -> bool:
        """Go out of service without an error for anyone, in two steps of at most ``limit_s`` seconds each.

        First everything is served on, each answer being the last one of its connection, until what runs now has
        ended: while a long export ends nobody else need wait for this server's successor. Then no new connection is
        taken, and what has been accepted is finished. An exchange has ended when its client has the whole answer,
        which is when the client's connection is gone. What waits for a tunnel gets a few seconds of the second step.
        True when nothing is left to be cut off.
        """
        self.context.phase = Phase.LEAVING
        await _within(limit_s, self.context.begun_have_ended())
        await asyncio.sleep(_ACCEPTED_S)  # closing resets who waits in the kernel's queue
        self._take_nobody()
        giving_up = self.context.loop.call_later(_PARKED_S, self.context.refuse_waiting)
        for client in tuple(self._clients):
            client.take_leave()
        finished = await _within(limit_s, self._nobody_is_left())
        giving_up.cancel()
        return finished

    async def close(self) -> None:
        """Close everything now; what runs is cut off."""
        self._take_nobody()
        self.context.refuse_waiting()
        await self.context.close()
        self.context.upstreams.close()
        await self._cloud.close()
        for client in tuple(self._clients):
            client.abort()

    def _take_nobody(self) -> None:
        for server in self._servers:
            server.close()

    async def _nobody_is_left(self) -> None:
        await asyncio.sleep(max(self._shaken_by - self.context.loop.time(), 0))
        while self.context.active or self._clients:
            await self.context.next_end()


async def _within(limit_s: float, work: Coroutine[Any, Any, None]) -> bool:
    """True when ``work`` ended in time."""
    try:
        async with asyncio.timeout(limit_s):
            await work
    except TimeoutError:
        return False
    return True
