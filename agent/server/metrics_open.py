"""Everything that is measured of a running server, and the port where it may be read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.datastructures import URL
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.loop_lag import LoopLag
from agent.server.addresses import is_loopback, split_address
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
from agent.server.settings_tables import MetricsSettings
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
        async with _port(settings.metrics, routes) as port:
            yield Measured(routes, port)
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)


@contextlib.asynccontextmanager
async def _port(settings: MetricsSettings, routes: list[Route]) -> AsyncIterator[Listening | None]:
    if settings.listen is None:
        yield None
        return
    host, port = split_address(settings.listen)
    told = Starlette(routes=routes)
    server = PanelServer(told if settings.allow_remote else _AskedByThisMachine(told), None, called=_CALLED)
    listening = Listening(host, await server.start(host, port))
    try:
        yield listening
    finally:
        await server.close()


class _AskedByThisMachine:
    """ASGI middleware: a page in somebody's browser here reaches loopback, too, by a name that its site chose."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer only who asks for a loopback address, or for localhost."""
        host = URL(scope=scope).hostname or "" if scope["type"] == "http" else ""
        if is_loopback(host):
            await self._app(scope, receive, send)
        else:
            refused = "This port answers to 127.0.0.1, [::1] and localhost: ask for one of them.\n"
            await PlainTextResponse(refused, 421)(scope, receive, send)


def _ends(listeners: list[WebListener]) -> dict[str, float]:
    ends = {listener.name: listener.certificate_ends_at() for listener in listeners}
    return {name: ends_at for name, ends_at in ends.items() if ends_at is not None}
