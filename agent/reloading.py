"""Reading the settings anew while the agent runs; no exchange is disturbed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog

from agent.errors import AgentError
from agent.forward.context import ForwardContext
from agent.opened_stores import OpenedStores
from agent.opening import read_openings
from agent.settings import AgentSettings
from agent.settings_proxy import read_proxy_route
from agent.source import Source, forward_timeouts
from agent.systemd import ServiceNotifier
from agent.tunnel.proxy_dial import ProxyDial
from agent.tunnel.proxy_route import describe_route
from agent.tunnel.supervisor import Supervisor

_RELOADED: Final = frozenset({"stores", "timeouts", "proxy"})

_log = structlog.get_logger("agent")


class Reloading:
    """Swaps what a reload can change. ``settings`` are those in force.

    Settings that cannot be used are refused, and those from before stay.
    """

    def __init__(
        self,
        source: Source,
        settings: AgentSettings,
        stores: OpenedStores,
        proxy: ProxyDial,
        context: ForwardContext,
        supervisor: Supervisor,
        servers: tuple[str, ...],
        manager: ServiceNotifier,
    ) -> None:
        self.settings = self._started_with = settings
        self._source = source
        self._stores = stores
        self._proxy = proxy
        self._context = context
        self._supervisor = supervisor
        self._servers = servers
        self._manager = manager
        self._one_at_a_time = asyncio.Lock()

    async def run(self, signal: asyncio.Event) -> None:
        """Reload whenever ``signal`` is set, which is cleared; until cancelled."""
        while True:
            await signal.wait()
            signal.clear()
            try:
                with contextlib.suppress(AgentError):  # it is in the log, and there is nobody to tell
                    await self.asked()
            except Exception as error:  # noqa: BLE001 - a defect in one reload must not make the agent deaf to the next one
                _log.exception("settings.reload_failed", error=type(error).__name__, kept="the settings from before")

    async def asked(self) -> tuple[str, ...]:
        """``reload``, with a refusal in the log, too: whoever asked may not be the one who wrote the settings."""
        try:
            return await self.reload()
        except AgentError as error:
            _log.error("settings.refused", detail=str(error), kept="the settings from before")
            raise

    async def reload(self) -> tuple[str, ...]:
        """Swap the stores; exchanges that run keep the store they began with.

        Returns the names of settings that differ and take effect at the next start only.

        Raises:
            AgentError: the settings cannot be used; nothing was changed.
        """
        async with self._one_at_a_time:
            with self._manager.reloading():
                return await self._read_anew()

    async def _read_anew(self) -> tuple[str, ...]:
        settings, _ = self._source.read()
        route = read_proxy_route(settings.proxy, self._source.environ)
        before = self._stores.grants
        table = await self._stores.open(read_openings(settings.stores), settings.timeouts)
        old, self._context.table = self._context.table, table
        self._context.timeouts = forward_timeouts(settings.timeouts)
        old.close()
        later = tuple(
            name
            for name in AgentSettings.model_fields
            if name not in _RELOADED and getattr(settings, name) != getattr(self._started_with, name)
        )
        self.settings = settings
        if route != self._proxy.route:
            self._proxy.route = route
            _log.info("proxy.changed", proxy=describe_route(route, self._servers))
            self._supervisor.wake()
        if self._stores.grants != before:
            self._supervisor.refresh()
        _log.info("settings.reloaded", stores=len(self._stores.grants))
        if later:
            _log.warning("settings.need_restart", settings=", ".join(later))
        return later
