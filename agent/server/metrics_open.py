"""Everything that is measured of a running server, and the port where it may be read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.routing import Route

from agent.loop_lag import LoopLag
from agent.server.addresses import split_address
from agent.server.assembly import WebListener, gateway_listener, panel_listener
from agent.server.db.failures_counted import FailuresCounted
from agent.server.exchange_counts import ExchangeCounts
from agent.server.gateway import Gateway
from agent.server.listening import Listening
from agent.server.metrics.application import watch_routes
from agent.server.metrics.collector import Monitored
from agent.server.metrics.tunnel_counts import TunnelCounts
from agent.server.operations.control_plane import ControlPlane
from agent.server.panel_server import PanelServer
from agent.server.registry import Registry
from agent.server.settings import ServerSettings
from agent.server.sshd import SshEndpoint

_CALLED = ("The listener of metrics", "INTEGRATION_SERVER_METRICS__LISTEN", "metrics.listen")


@dataclass(frozen=True, slots=True)
class Measured:
    """``routes`` are for the admin socket; ``port`` is where they are, too, None when no address is set."""

    routes: list[Route]
    port: Listening | None

    @property
    def facts(self) -> dict[str, object] | None:
        """For the ready file."""
        return None if self.port is None else {"host": self.port.host, "port": self.port.port}


@contextlib.asynccontextmanager
async def measured(
    plane: ControlPlane,
    settings: ServerSettings,
    *,
    registry: Registry,
    gateway: Gateway,
    endpoint: SshEndpoint,
    exchanges: ExchangeCounts,
    tunnels: TunnelCounts,
) -> AsyncIterator[Measured]:
    """Measure until the block is left. Raises StartError.

    ``exchanges`` and ``tunnels`` are fed by the caller, from before the first one on.
    """
    lag = LoopLag()
    listeners = [gateway_listener(settings), *([panel_listener(settings)] if settings.panel.enabled else [])]
    parts = Monitored(
        plane=plane,
        registry=registry,
        gateway=gateway,
        endpoint=endpoint,
        exchanges=exchanges,
        tunnels=tunnels,
        database=FailuresCounted(plane.engine),
        lag=lag,
        data_dir=settings.data_dir,
        certificates=_ends(listeners),
    )
    routes = watch_routes(parts)
    measuring = asyncio.create_task(lag.run(), name="loop-lag")
    try:
        async with _port(settings.metrics.listen, routes) as port:
            yield Measured(routes, port)
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)


@contextlib.asynccontextmanager
async def _port(address: str | None, routes: list[Route]) -> AsyncIterator[Listening | None]:
    if address is None:
        yield None
        return
    host, port = split_address(address)
    server = PanelServer(Starlette(routes=routes), None, called=_CALLED)
    listening = Listening(host, await server.start(host, port))
    try:
        yield listening
    finally:
        await server.close()


def _ends(listeners: list[WebListener]) -> dict[str, float]:
    ends = {listener.name: listener.certificate_ends_at() for listener in listeners}
    return {name: ends_at for name, ends_at in ends.items() if ends_at is not None}
