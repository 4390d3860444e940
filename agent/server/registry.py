"""Which tunnels are up, whom they belong to and what they serve. No I/O but what tunnels do when told to leave."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from operator import attrgetter
from typing import Final

import structlog

from agent.server.agent_record import AgentRecord
from agent.server.tunnel import NO_MORE_AUTH_METHODS, TOO_MANY_CONNECTIONS, ChannelPool, Tunnel, TunnelLink
from agent.server.tunnel_snapshot import TunnelSnapshot
from agent.store_url import Store
from agent.tunnel.messages import Goodbye

log = structlog.get_logger("agent")

IN_FLIGHT: Final = attrgetter("in_flight")
SERVED_MAX: Final = 1024
"""Stores that are remembered per agent: whoever has its token can name ever new ones."""


class Change(Enum):
    """What happened to a tunnel."""

    READY = "ready"
    REMOVED = "removed"
    LEAVING = "leaving"
    DRAINING = "draining"
    RULES = "rules"


class Departure(StrEnum):
    """Why a tunnel was removed: it ended, a newer one of its identity took over, or its agent may not be here."""

    ENDED = "ended"
    REPLACED = "replaced"
    EVICTED = "evicted"


@dataclass(frozen=True, slots=True)
class RegistryEvent:
    """One change, told to subscribers after it was made; ``departure`` is of a tunnel that was removed."""

    change: Change
    tunnel: Tunnel
    reason: str = ""
    departure: Departure = Departure.ENDED


@dataclass(frozen=True, slots=True)
class LastSeen:
    """When an agent last had a tunnel (Unix seconds; now, while it has one), and how the last one ended.

    ``drained``: it said before that it would leave, so that it can be expected back.
    """

    at: float
    drained: bool
    reason: str


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
        self._links: dict[str, dict[TunnelLink, str]] = {}  # with the record of the secret that was given
        self._last_seen: dict[str, LastSeen] = {}
        self._last_served: dict[str, dict[Store, tuple[LastSeen, str]]] = {}  # with the instance that served it
        self._subscribers: list[Callable[[RegistryEvent], None]] = []

    def __repr__(self) -> str:
        return f"<Registry agents={len(self._tunnels)} tunnels={sum(map(len, self._tunnels.values()))}>"

    # -- for the gateway -----------------------------------------------------------------------------------------

    def eligible(self, agent_id: str, store: Store) -> list[Tunnel]:
        """Tunnels that may take a new exchange for this store, least loaded first.

        Those of an instance that is leaving are among them only when there are no others.
        """
        found = [tunnel for tunnel in self._tunnels.get(agent_id, ()) if not tunnel.draining and tunnel.serves(store)]
        if len(found) > 1:
            found = [tunnel for tunnel in found if not tunnel.leaving] or found
            found.sort(key=IN_FLIGHT)
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
            return LastSeen(self._clock(), all(tunnel.goes for tunnel in tunnels), "")
        return self._last_seen.get(agent_id)

    def last_served(self, agent_id: str, store: Store) -> LastSeen | None:
        """When an instance of this agent that is gone served the store which none of those here does."""
        served = self._last_served.get(agent_id, {}).get(store)
        return served[0] if served is not None else None

    def subscribe(self, callback: Callable[[RegistryEvent], None]) -> Callable[[], None]:
        """Call ``callback`` after every change; the result ends that. What it raises is logged."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def counts(self) -> tuple[int, int]:
        """Agents that have a tunnel, and tunnels."""
        return len(self._tunnels), sum(map(len, self._tunnels.values()))

    def snapshot(self) -> tuple[TunnelSnapshot, ...]:
        """All tunnels, for the control plane."""
        return tuple(TunnelSnapshot.of(tunnel) for tunnels in self._tunnels.values() for tunnel in tunnels)

    # -- for the SSH endpoint ------------------------------------------------------------------------------------

    def attach(self, agent_id: str, link: TunnelLink, secret_id: str = "") -> int:
        """A connection logged in as this agent; from now on ``evict_agent`` reaches it. Returns how many it has."""
        links = self._links.setdefault(agent_id, {})
        links[link] = secret_id
        return len(links)

    def detach(self, agent_id: str, link: TunnelLink) -> None:
        """That connection is gone."""
        links = self._links.get(agent_id, {})
        links.pop(link, None)
        if not links:
            self._links.pop(agent_id, None)

    def holders(self, record: AgentRecord, instance_id: str) -> tuple[Tunnel, ...]:
        """The tunnels that keep ``instance_id`` out: one per other living instance, when they fill the places.

        An instance whose tunnels all drain, or that is leaving, is on its way out and holds no place.
        """
        others: dict[str, Tunnel] = {}
        for tunnel in self._tunnels.get(record.agent_id, ()):
            if tunnel.instance_id != instance_id and not tunnel.goes:
                others.setdefault(tunnel.instance_id, tunnel)
        return tuple(others.values()) if len(others) >= record.max_instances else ()

    def take_place(self, record: AgentRecord, tunnel: Tunnel) -> None:
        """``tunnel``'s instance is in: others that are leaving are chosen no more where they are over the number.

        Else one could say for ever that it leaves, and serve beside those that are allowed.
        """
        chosen = [other for other in self.tunnels(record.agent_id) if not other.draining]
        staying = {other.instance_id for other in chosen if not other.leaving} | {tunnel.instance_id}
        going = dict.fromkeys(other.instance_id for other in chosen if other.instance_id not in staying)
        over = list(going)[: max(len(staying) + len(going) - record.max_instances, 0)]
        for other in chosen:
            if other.instance_id in over:
                self.set_draining(other, "its place was taken while it was leaving")

    def add(self, tunnel: Tunnel) -> None:
        """The tunnel is READY. One of the same identity is let go first, then told that it is replaced."""
        for old in self.tunnels(tunnel.agent_id):
            if old.identity == tunnel.identity:
                self.remove(old, "replaced", Departure.REPLACED)
                old.disconnect(TOO_MANY_CONNECTIONS, "replaced", Goodbye.REPLACED)
        self._tunnels.setdefault(tunnel.agent_id, []).append(tunnel)
        self._is_back(tunnel)
        self._last_seen.pop(tunnel.agent_id, None)
        if self._pool_factory is not None:
            tunnel.channels = self._pool_factory(tunnel)
        self._tell(RegistryEvent(Change.READY, tunnel))

    def remove(self, tunnel: Tunnel, reason: str, departure: Departure = Departure.ENDED) -> None:
        """The tunnel is gone or about to go; nothing happens when it was removed before."""
        tunnels = self._tunnels.get(tunnel.agent_id, [])
        if tunnel not in tunnels:
            return
        tunnels.remove(tunnel)
        if not tunnels:
            del self._tunnels[tunnel.agent_id]
            self._last_seen[tunnel.agent_id] = LastSeen(self._clock(), tunnel.goes, reason)
        self._is_gone(tunnel, reason)
        pool, tunnel.channels = tunnel.channels, None
        if pool is not None:
            try:
                pool.close()
            except Exception:  # a defect there must not keep the connection from being cleared away
                log.exception("registry.pool_failed", agent_id=tunnel.agent_id)
        self._tell(RegistryEvent(Change.REMOVED, tunnel, reason, departure))

    def set_leaving(self, tunnel: Tunnel, reason: str) -> None:
        """Choose this tunnel only where no other can serve: its agent leaves when what runs has ended."""
        if not tunnel.leaving:
            tunnel.leaving = True
            _retire(tunnel)
            self._tell(RegistryEvent(Change.LEAVING, tunnel, reason))

    def set_draining(self, tunnel: Tunnel, reason: str) -> None:
        """Choose this tunnel no more; what runs through it goes on."""
        if not tunnel.draining:
            tunnel.draining = True
            _retire(tunnel)
            self._tell(RegistryEvent(Change.DRAINING, tunnel, reason))

    def rules_changed(self, tunnel: Tunnel) -> None:
        """The agent said hello again, with other stores."""
        self._is_back(tunnel)
        self._tell(RegistryEvent(Change.RULES, tunnel))

    def drain_all(self, reason: str, retry_after_s: float | None) -> None:
        """This server is about to leave: choose no tunnel any more and tell every agent when to come back."""
        for tunnels in tuple(self._tunnels.values()):
            for tunnel in tuple(tunnels):
                self.set_draining(tunnel, reason)
                tunnel.drain(reason, retry_after_s)

    # -- for the control plane -----------------------------------------------------------------------------------

    def evict_agent(
        self,
        agent_id: str,
        reason: str = "revoked",
        goodbye: Goodbye = Goodbye.REVOKED,
        kept: frozenset[str] = frozenset(),
    ) -> None:
        """Cut every connection of an agent at once, also one that is still saying hello.

        Those that logged in with a secret whose record is in ``kept`` stay.
        """
        going = [link for link, secret_id in self._links.get(agent_id, {}).items() if secret_id not in kept]
        for tunnel in self.tunnels(agent_id):
            if not kept or tunnel.link in going:
                self.remove(tunnel, reason, Departure.EVICTED)
        if not kept:
            self._last_served.pop(agent_id, None)
        for link in going:
            link.disconnect(NO_MORE_AUTH_METHODS, reason, goodbye)

    def _is_gone(self, tunnel: Tunnel, reason: str) -> None:
        """Remember what nobody serves now that it did, the newest ``SERVED_MAX`` stores."""
        gone = tunnel.stores.difference(*(other.stores for other in self.tunnels(tunnel.agent_id)))
        if not gone:
            return
        entry = (LastSeen(self._clock(), tunnel.goes, reason), tunnel.instance_id)
        before = self._last_served.get(tunnel.agent_id, {})
        served = {store: before[store] for store in before if store not in gone} | dict.fromkeys(gone, entry)
        self._last_served[tunnel.agent_id] = dict(list(served.items())[-SERVED_MAX:])

    def _is_back(self, tunnel: Tunnel) -> None:
        """Forget what this instance served, and who else served what it serves: now its word counts."""
        served = self._last_served.pop(tunnel.agent_id, {})
        kept = {
            store: entry
            for store, entry in served.items()
            if entry[1] != tunnel.instance_id and store not in tunnel.stores
        }
        if kept:
            self._last_served[tunnel.agent_id] = kept

    def _tell(self, event: RegistryEvent) -> None:
        for callback in tuple(self._subscribers):
            try:
                callback(event)
            except Exception:  # a subscriber's defect must not leave the registry half changed
                log.exception("registry.subscriber_failed", change=event.change.value)


def _retire(tunnel: Tunnel) -> None:
    if tunnel.channels is not None:
        tunnel.channels.retire(is_draining=tunnel.draining)
