"""What a running server says of itself to ``integration-server status``. Pure: values only.

Times are seconds, sizes bytes, round trips milliseconds; nothing here is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agent.pause import Pause
from agent.process_report import ProcessReport
from agent.server.doorkeeper import DoorReport
from agent.server.traffic import Minute
from agent.server.tunnel_snapshot import TunnelSnapshot


@dataclass(frozen=True, slots=True)
class ListenerReport:
    """A listener for agents or for integrations."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where this server is reached: by agents, by integrations (``gateway_url``), by commands (``admin_socket``)."""

    ssh: ListenerReport
    gateway: ListenerReport
    gateway_url: str
    admin_socket: str
    panel: ListenerReport | None = None


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Channels or connections that are kept: ``idle``, or ``busy`` with an exchange."""

    idle: int
    busy: int


@dataclass(frozen=True, slots=True)
class TunnelReport:
    """One tunnel of an agent. ``round_trip_ms`` is what the agent measured; plain ssh measures nothing.

    ``fast_path_reason`` says why this end's fast path is off; the packets are those of this tunnel that took it.
    """

    agent_id: str
    agent_name: str
    instance_id: str
    index: int
    plain: bool
    host: str
    version: str
    peer: str
    connected_s: float
    last_heartbeat_age_s: float
    round_trip_ms: float | None
    draining: bool
    in_flight: int
    channels: Occupancy
    stores: tuple[str, ...]
    paused: Mapping[str, Pause]  # by store: what the shop's administrator holds back
    fast_path: bool
    fast_path_reason: str | None
    fast_path_packets_sent: int
    fast_path_packets_received: int

    @classmethod
    def of(cls, tunnel: TunnelSnapshot, now: float) -> TunnelReport:
        """``now`` is Unix seconds, as in the snapshot."""
        return cls(
            agent_id=tunnel.agent_id,
            agent_name=tunnel.agent_name,
            instance_id=tunnel.instance_id,
            index=tunnel.index,
            plain=tunnel.plain,
            host=tunnel.host,
            version=tunnel.version,
            peer=tunnel.peer,
            connected_s=_age_s(tunnel.connected_at, now),
            last_heartbeat_age_s=_age_s(tunnel.last_heartbeat_at, now),
            round_trip_ms=round(tunnel.round_trip_s * 1000, 3) if tunnel.round_trip_s is not None else None,
            draining=tunnel.draining,
            in_flight=tunnel.in_flight,
            channels=Occupancy(tunnel.channels_idle, tunnel.channels_busy),
            stores=tunnel.stores,
            paused=tunnel.paused,
            fast_path=tunnel.fast_path,
            fast_path_reason=tunnel.fast_path_reason or None,
            fast_path_packets_sent=tunnel.fast_path_packets_sent,
            fast_path_packets_received=tunnel.fast_path_packets_received,
        )


@dataclass(frozen=True, slots=True)
class OfflineAgent:
    """An agent that is registered and has no tunnel. ``last_heartbeat_at`` is ISO 8601; None: it never connected.

    ``host`` is where it said that it runs; a stock ssh client says nothing.
    """

    name: str
    last_heartbeat_at: str | None
    host: str | None


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """The data plane: connections of clients, exchanges that run or wait, and those of them that wait for a tunnel."""

    clients: int
    in_flight: int
    parked: int


@dataclass(frozen=True, slots=True)
class ServerReport:
    """The whole report.

    ``state`` is ``ready``, ``offline`` (agents are registered and none is connected) or ``draining`` (told to stop);
    ``channels`` and ``store_connections`` are sums, the latter of mode Cloud; ``ssh_connections`` are those of agents,
    logged in or not, of which ``door`` tells the latter. ``offline_agents`` is None where they are not known, because
    the database does not answer.
    """

    running: bool
    version: str
    pid: int
    uptime_s: float
    state: str
    draining: bool
    listeners: Listeners
    host_key_fingerprint: str
    agents_registered: int
    agents_online: int
    ssh_connections: int
    gateway: GatewayReport
    traffic: Minute
    channels: Occupancy
    store_connections: Occupancy
    tunnels: tuple[TunnelReport, ...]
    process: ProcessReport
    door: DoorReport
    offline_agents: tuple[OfflineAgent, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def _age_s(since: float, now: float) -> float:
    """The wall clock may have been put back meanwhile."""
    return round(max(0.0, now - since), 3)
