"""The way to a connection's store: a channel of a tunnel, or of the forwarder in this process (mode Cloud).

Parking: while no tunnel is there that could serve, an exchange waits, bounded in time and number, its body unread.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import structlog

from agent.errors import AgentOffline, ConnectionBusy, ExchangeError, PolicyDenied, ServerDraining
from agent.server.channel_pool import ChannelPool
from agent.server.channels import UpstreamChannel
from agent.server.cloud import CloudForwarder
from agent.server.gateway_context import GatewayContext, Phase
from agent.server.registry import IN_FLIGHT, LastSeen, Registry, RegistryEvent
from agent.server.routes import Route
from agent.server.tunnel import Tunnel
from agent.store_command import add_command

_LOG = structlog.get_logger()


class Upstreams:
    """Finds channels. ``take`` is the hot path, ``find`` may wait."""

    def __init__(
        self,
        context: GatewayContext,
        registry: Registry,
        cloud: CloudForwarder,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._context = context
        self._registry = registry
        self._cloud = cloud
        self._clock = clock
        self._started_at = clock()
        self._parked: Counter[str] = Counter()
        self._waiters: dict[str, dict[asyncio.Event, None]] = {}  # in the order in which they came
        self._serving: dict[Route, list[Tunnel]] = {}  # forgotten whenever a tunnel or a route changes
        self._unsubscribe = registry.subscribe(self._tunnel_changed)
        context.table.on_replace.append(self._routes_replaced)

    @property
    def parked_count(self) -> int:
        """Exchanges that wait for a tunnel."""
        return self._parked.total()

    def take(self, route: Route, *, for_write: bool) -> UpstreamChannel | None:
        """A warm channel, if there is one; ``for_write``: for an exchange that cannot be sent a second time."""
        if route.mode == "cloud":
            return self._cloud.pool(route).take(for_write=for_write)
        tunnels = self._serving.get(route)
        if tunnels is None:
            tunnels = self._registry.eligible(route.agent_id or "", route.store)
            if self._context.table.route(route.connection_id) is route:  # else a test of one that is not saved
                self._serving[route] = tunnels
        elif len(tunnels) > 1:
            tunnels.sort(key=IN_FLIGHT)
        for tunnel in tunnels:
            pool: ChannelPool | None = tunnel.channels
            channel = pool.take(for_write=for_write) if pool is not None else None
            if channel is not None:
                return channel
        return None

    async def find(self, route: Route, *, for_write: bool) -> UpstreamChannel:
        """Open a channel, waiting for a tunnel, or for a channel of one, if need be.

        Raises ``AgentOffline`` when no tunnel comes in time, ``ConnectionBusy`` when all channels of those that are
        there stay in use, ``PolicyDenied`` when the agent is there and does not open this store, ``ServerDraining``
        when there is none while this server leaves and waits no longer.
        """
        try:
            return await self._find(route, for_write=for_write)
        except ExchangeError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect in one attempt must not leave a client without an answer for ever
            _LOG.exception("gateway.find_failed", connection=route.slug, error=type(error).__name__)
            raise AgentOffline("The way to the store failed inside the gateway; its log says how.") from None

    async def _find(self, route: Route, *, for_write: bool) -> UpstreamChannel:
        if route.mode == "cloud":
            return await self._open(self._cloud.pool(route))
        agent_id = route.agent_id or ""
        deadline: float | None = None
        while True:
            # Looked at before the tunnels, so that no change between the two is missed.
            changed = asyncio.Event()
            waiters = self._waiters.setdefault(agent_id, {})
            waiters[changed] = None
            busy = False
            try:
                warm = self.take(route, for_write=for_write)
                if warm is not None:
                    return warm
                for tunnel in self._registry.eligible(agent_id, route.store):
                    pool: ChannelPool | None = tunnel.channels
                    if pool is None or _drains(tunnel):  # since the last await
                        continue
                    try:
                        channel = pool.take(for_write=for_write) or await self._open(pool)
                    except AgentOffline:
                        busy = busy or pool.is_full  # else it went away in this moment: the next one
                        continue
                    if not _drains(tunnel):
                        return channel
                    channel.release()  # its agent was told meanwhile that nothing more comes
                if self._context.phase is Phase.REFUSING:
                    raise ServerDraining
                now = self._context.loop.time()
                if deadline is None:
                    deadline = now + self._patience_s(route)
                if now >= deadline:
                    raise _given_up(busy=busy)
                await self._park(agent_id, changed, deadline, busy=busy)
            finally:
                waiters.pop(changed, None)
                if not waiters and self._waiters.get(agent_id) is waiters:
                    del self._waiters[agent_id]

    def wake(self, agent_id: str) -> None:
        """Something changed for this agent: who waits for it looks again."""
        for waiter in self._waiters.get(agent_id, ()):
            waiter.set()

    def wake_all(self) -> None:
        """Everyone who waits looks again; this server is about to leave."""
        for agent_id in self._waiters:
            self.wake(agent_id)

    def close(self) -> None:
        """Listen to registry and routing table no more."""
        self._unsubscribe()
        if self._routes_replaced in self._context.table.on_replace:
            self._context.table.on_replace.remove(self._routes_replaced)

    async def _open(self, pool: ChannelPool) -> UpstreamChannel:
        try:
            return await pool.open()
        except ConnectionError:
            raise AgentOffline("The tunnel gave no channel.") from None

    async def _park(self, agent_id: str, changed: asyncio.Event, deadline: float, *, busy: bool) -> None:
        if self._parked[agent_id] >= self._context.limits.parked_max:
            raise _given_up(f"{self._context.limits.parked_max} requests wait for it already.", busy=busy)
        self._parked[agent_id] += 1
        try:
            async with asyncio.timeout_at(deadline):
                await changed.wait()
        except TimeoutError:
            raise _given_up(busy=busy) from None
        finally:
            self._parked[agent_id] -= 1
            if not self._parked[agent_id]:
                del self._parked[agent_id]

    def _patience_s(self, route: Route) -> float:
        """How long a tunnel is worth waiting for: longer when the agent said that it comes back."""
        limits = self._context.limits
        agent_id = route.agent_id or ""
        here = self._registry.tunnels(agent_id)
        serving = [tunnel for tunnel in here if tunnel.serves(route.store)]
        if serving:
            return limits.park_drain_s if all(tunnel.goes for tunnel in serving) else limits.park_s
        if here:
            if all(tunnel.goes for tunnel in here):
                return limits.park_drain_s
            # Another instance may serve this store, and be on its way back.
            patience_s = self._patience_since(self._registry.last_served(agent_id, route.store))
            if patience_s > 0:
                return patience_s
            raise PolicyDenied(
                "The agent is connected, but its settings do not open this store: "
                f"run on its machine {add_command(route.store)} (with --write for every method)."
            )
        # After a start of this server every agent is on its way back.
        seen = self._registry.last_seen(agent_id) or LastSeen(self._started_at, drained=True, reason="")
        return self._patience_since(seen)

    def _patience_since(self, seen: LastSeen | None) -> float:
        if seen is None:
            return 0.0
        limit = self._context.limits.park_drain_s if seen.drained else self._context.limits.park_s
        # The wall clock may have been put right meanwhile, by any amount.
        return min(limit, max(0.0, seen.at + limit - self._clock()))

    def _tunnel_changed(self, event: RegistryEvent) -> None:
        self._serving.clear()
        self.wake(event.tunnel.agent_id)

    def _routes_replaced(self) -> None:
        self._serving.clear()
        table = self._context.table
        self._cloud.keep(lambda connection_id: table.route(connection_id) is not None)
        self._context.forget_gone_routes()


def _drains(tunnel: Tunnel) -> bool:
    return tunnel.draining  # a call, since it may change during an await


def _given_up(detail: str = "", *, busy: bool) -> ExchangeError:
    if busy:
        return ConnectionBusy(detail or "All channels of the agent's tunnels are in use.")
    return AgentOffline(detail)
