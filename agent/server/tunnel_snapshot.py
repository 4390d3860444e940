"""A tunnel at one moment, as values that can be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.pause import Pause
from agent.server.tunnel import Tunnel
from agent.tunnel.text import printable


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
    channels_idle: int
    channels_busy: int
    connected_at: float
    last_heartbeat_at: float
    round_trip_s: float | None
    paused: Mapping[str, Pause]
    fast_path: bool
    fast_path_reason: str
    fast_path_packets_sent: int
    fast_path_packets_received: int

    @classmethod
    def of(cls, tunnel: Tunnel) -> TunnelSnapshot:
        """As it is now."""

        return cls(
            agent_id=tunnel.agent_id,
            agent_name=tunnel.agent_name,
            instance_id=tunnel.instance_id,
            index=tunnel.index,
            plain=tunnel.plain,
            peer=tunnel.peer,
            host=printable(tunnel.host),
            version=printable(tunnel.version),
            stores=tuple(str(rule.store) for rule in tunnel.rules),
            draining=tunnel.goes,
            in_flight=tunnel.in_flight,
            channels_idle=tunnel.channels.idle_count if tunnel.channels is not None else 0,
            channels_busy=tunnel.channels.busy_count if tunnel.channels is not None else 0,
            connected_at=tunnel.connected_at,
            last_heartbeat_at=tunnel.last_heartbeat_at,
            round_trip_s=tunnel.round_trip_s,
            fast_path=tunnel.acceleration.path is not None,
            fast_path_reason=tunnel.acceleration.reason,
            fast_path_packets_sent=tunnel.acceleration.packets_sent,
            fast_path_packets_received=tunnel.acceleration.packets_received,
            paused={str(store): pause for store, pause in tunnel.paused.items()},
        )
