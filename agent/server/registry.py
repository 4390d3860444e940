"""Which tunnels are up, whom they belong to and what they serve. No I/O but what tunnels do when told to leave."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter

import structlog

from agent.server.agent_record import AgentRecord
from agent.server.tunnel import NO_MORE_AUTH_METHODS, TOO_MANY_CONNECTIONS, ChannelPool, Tunnel, TunnelLink
from agent.store_url import Store
from agent.tunnel.messages import Goodbye
from agent.tunnel.text import printable

log = structlog.get_logger("agent")


class Change(Enum):
    """What happened to a tunnel."""

    READY = "ready"
    REMOVED = "removed"
    DRAINING = "draining"
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class RegistryEvent:
    """One change, told to subscribers after it was made."""

    change: Change
    tunnel: Tunnel
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LastSeen:
    """When an agent last had a tunnel (Unix seconds; now, while it has one), and how the last one ended.

    ``drained``: it said before that it would leave, so that it can be expected back.
    """

    at: float
    drained: bool
    reason: str


@dataclass(frozen=True, slots=True)
class TunnelSnapshot:
    """A tunnel as the control plane shows it; texts that the agent chose are escaped."""

    agent_id: str
    agent_name: str
    instance_id: str
    index: int
    plain: bool
    peer: str
    host: str
    version: str
    stores: tuple[str, ...]
    draining: bool
    in_flight: int
    connected_at: float
    last_heartbeat_at: float


class Registry:
    """All tunnels of this server, in memory; every change is synchronous and tells the subscribers.

    ``pool_factory`` makes what owns a tunnel's warm channels when it becomes READY. An identity (agent, instance,
    index) holds one tunnel: the newest wins.
    """

    def __init__(
        self,
        pool_factory: Callable[[Tunnel], ChannelPool] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pool_factory = pool_factory
        self._clock = clock
        self._tunnels: dict[str, list[Tunnel]] = {}
        self._links: dict[str, set[TunnelLink]] = {}
        self._last_seen: dict[str, LastSeen] = {}
        self._subscribers: list[Callable[[RegistryEvent], None]] = []

    def __repr__(self) -> str:
        return f"<Registry agents={len(self._tunnels)} tunnels={sum(map(len, self._tunnels.values()))}>"

    # -- for the gateway -----------------------------------------------------------------------------------------

    def eligible(self, agent_id: str, store: Store) -> list[Tunnel]:
        """Tunnels that may take a new exchange for this store, least loaded first."""
        found = [tunnel for tunnel in self._tunnels.get(agent_id, ()) if not tunnel.draining and tunnel.serves(store)]
        found.sort(key=attrgetter("in_flight"))
        return found

    def tunnels(self, agent_id: str) -> tuple[Tunnel, ...]:
        """Every tunnel of this agent, draining ones too."""
        return tuple(self._tunnels.get(agent_id, ()))

    def knows(self, agent_id: str) -> bool:
        """True when the agent has, or had since this process began, a tunnel."""
        return agent_id in self._tunnels or agent_id in self._last_seen

    def last_seen(self, agent_id: str) -> LastSeen | None:
        """None when it had no tunnel since this process began."""
        tunnels = self._tunnels.get(agent_id)
        if tunnels:
            return LastSeen(self._clock(), all(tunnel.draining for tunnel in tunnels), "")
        return self._last_seen.get(agent_id)

    def subscribe(self, callback: Callable[[RegistryEvent], None]) -> Callable[[], None]:
        """Call ``callback`` after every change; the result ends that. What it raises is logged."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def snapshot(self) -> tuple[TunnelSnapshot, ...]:
        """All tunnels, for the control plane."""
        return tuple(_snapshot(tunnel) for tunnels in self._tunnels.values() for tunnel in tunnels)

    # -- for the SSH endpoint ------------------------------------------------------------------------------------

    def attach(self, agent_id: str, link: TunnelLink) -> int:
        """A connection logged in as this agent; from now on ``evict_agent`` reaches it. Returns how many it has."""
        links = self._links.setdefault(agent_id, set())
        links.add(link)
        return len(links)

    def detach(self, agent_id: str, link: TunnelLink) -> None:
        """That connection is gone."""
        links = self._links.get(agent_id, set())
        links.discard(link)
        if not links:
            self._links.pop(agent_id, None)

    def holders(self, record: AgentRecord, instance_id: str) -> tuple[Tunnel, ...]:
        """The tunnels that keep ``instance_id`` out: one per other living instance, when they fill the places.

        An instance whose tunnels all drain is on its way out and holds no place.
        """
        others: dict[str, Tunnel] = {}
        for tunnel in self._tunnels.get(record.agent_id, ()):
            if tunnel.instance_id != instance_id and not tunnel.draining:
                others.setdefault(tunnel.instance_id, tunnel)
        return tuple(others.values()) if len(others) >= record.max_instances else ()

    def add(self, tunnel: Tunnel) -> None:
        """The tunnel is READY. One of the same identity is let go first, then told that it is replaced."""
        for old in self.tunnels(tunnel.agent_id):
            if old.identity == tunnel.identity:
                self.remove(old, "replaced")
                old.disconnect(TOO_MANY_CONNECTIONS, "replaced", Goodbye.REPLACED)
        self._tunnels.setdefault(tunnel.agent_id, []).append(tunnel)
        self._last_seen.pop(tunnel.agent_id, None)
        if self._pool_factory is not None:
            tunnel.channels = self._pool_factory(tunnel)
        self._tell(RegistryEvent(Change.READY, tunnel))

    def remove(self, tunnel: Tunnel, reason: str) -> None:
        """The tunnel is gone or about to go; nothing happens when it was removed before."""
        tunnels = self._tunnels.get(tunnel.agent_id, [])
        if tunnel not in tunnels:
            return
        tunnels.remove(tunnel)
        if not tunnels:
            del self._tunnels[tunnel.agent_id]
            self._last_seen[tunnel.agent_id] = LastSeen(self._clock(), tunnel.draining, reason)
        pool, tunnel.channels = tunnel.channels, None
        if pool is not None:
            try:
                pool.close()
            except Exception:  # a defect there must not keep the connection from being cleared away
                log.exception("registry.pool_failed", agent_id=tunnel.agent_id)
        self._tell(RegistryEvent(Change.REMOVED, tunnel, reason))

    def set_draining(self, tunnel: Tunnel, reason: str) -> None:
        """Choose this tunnel no more; what runs through it goes on."""
        if not tunnel.draining:
            tunnel.draining = True
            self._tell(RegistryEvent(Change.DRAINING, tunnel, reason))

    def rules_changed(self, tunnel: Tunnel) -> None:
        """The agent said hello again, with other stores."""
        self._tell(RegistryEvent(Change.RULES, tunnel))

    def drain_all(self, reason: str, retry_after_s: float | None) -> None:
        """This server is about to leave: choose no tunnel any more and tell every agent when to come back."""
        for tunnels in tuple(self._tunnels.values()):
            for tunnel in tuple(tunnels):
                self.set_draining(tunnel, reason)
                tunnel.drain(reason, retry_after_s)

    # -- for the control plane -----------------------------------------------------------------------------------

    def evict_agent(self, agent_id: str, reason: str = "revoked") -> None:
        """Cut every connection of a revoked agent at once, also one that is still saying hello."""
        for tunnel in self.tunnels(agent_id):
            self.remove(tunnel, reason)
        for link in tuple(self._links.get(agent_id, ())):
            link.disconnect(NO_MORE_AUTH_METHODS, reason, Goodbye.REVOKED)

    def _tell(self, event: RegistryEvent) -> None:
        for callback in tuple(self._subscribers):
            try:
                callback(event)
            except Exception:  # a subscriber's defect must not leave the registry half changed
                log.exception("registry.subscriber_failed", change=event.change.value)


def _snapshot(tunnel: Tunnel) -> TunnelSnapshot:
    return TunnelSnapshot(
        agent_id=tunnel.agent_id,
        agent_name=tunnel.agent_name,
        instance_id=tunnel.instance_id,
        index=tunnel.index,
        plain=tunnel.plain,
        peer=tunnel.peer,
        host=printable(tunnel.host),
        version=printable(tunnel.version),
        stores=tuple(str(rule.store) for rule in tunnel.rules),
        draining=tunnel.draining,
        in_flight=tunnel.in_flight,
        connected_at=tunnel.connected_at,
        last_heartbeat_at=tunnel.last_heartbeat_at,
    )
