"""The panel of a running server: its listener, and the first link, with which the first admin is made."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from agent.server.assembly import panel_listener
from agent.server.inherited_sockets import InheritedSockets
from agent.server.listening import listen_for_people
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.one_time_links import first_link
from agent.server.operations.status import ListenerReport
from agent.server.panel.application import create_panel
from agent.server.panel_server import PanelServer
from agent.server.settings import ServerSettings

Announce = Callable[[str], None]

_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OpenPanel:
    """Where the panel is; ``reason`` says why there and not where the settings say ("" when it is there)."""

    host: str
    port: int
    url: str
    reason: str
    is_serving: Callable[[], bool]

    @property
    def report(self) -> ListenerReport:
        """For status."""
        return ListenerReport(self.host, self.port)

    @property
    def facts(self) -> dict[str, object]:
        """For the ready file."""
        return {"host": self.host, "port": self.port, "url": self.url}


@contextlib.asynccontextmanager
async def panel_open(
    plane: ControlPlane, settings: ServerSettings, inherited: InheritedSockets
) -> AsyncIterator[OpenPanel | None]:
    """Listen for people; None when the panel is switched off. Raises StartError, SettingsError."""
    if not settings.panel.enabled:
        yield None
        return
    listener = panel_listener(settings)
    tls = listener.tls()
    server = PanelServer(create_panel(plane, settings), tls)
    listening = await listen_for_people(server, listener, inherited)
    if listening.reason:
        _LOG.warning("panel.loopback_only", reason=listening.reason)
    try:
        url = listening.url(tls is not None)
        yield OpenPanel(listening.host, listening.port, url, listening.reason, lambda: server.is_serving)
    finally:
        await server.close()


async def announce_first_link(plane: ControlPlane, announce: Announce) -> None:
    """While nobody can log in, print a link that makes the first admin; to the terminal, not to the log."""
    link = await first_link(plane)
    if link is None:
        return
    until = datetime.fromtimestamp(link.expires_at, UTC)
    announce(f"          make the first admin here (works once, until {until:%Y-%m-%d %H:%M} UTC):")
    announce(f"          {plane.panel_url}/welcome/{link.token}")
