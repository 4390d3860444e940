"""Collects what the running server says of itself, from the parts that know."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import agent
from agent.process_report import ProcessReport
from agent.server.gateway import Gateway
from agent.server.operations.live_tables import LiveTables
from agent.server.operations.status import (
    GatewayReport,
    ListenerReport,
    Listeners,
    Occupancy,
    ServerReport,
    TunnelReport,
)
from agent.server.registry import Registry
from agent.server.sshd import SshEndpoint
from agent.server.traffic import Traffic


@dataclass(frozen=True, slots=True)
class SelfReport:
    """Makes a ``ServerReport`` when called; ``own_connections`` counts those over which it is asked for."""

    live: LiveTables
    registry: Registry
    gateway: Gateway
    endpoint: SshEndpoint
    listeners: Listeners
    own_connections: Callable[[], int]
    panel: Callable[[], ListenerReport | None]
    traffic: Traffic
    started_at: float = field(default_factory=time.monotonic)

    def __call__(self) -> ServerReport:
        """The report of this moment; to be called in the event loop."""
        now = time.time()
        tunnels = tuple(TunnelReport.of(tunnel, now) for tunnel in self.registry.snapshot())
        context, cloud = self.gateway.context, self.gateway.cloud.load()
        registered = self.live.agent_count
        state = "draining" if context.leaving else "offline" if registered and not tunnels else "ready"
        return ServerReport(
            running=True,
            version=agent.__version__,
            pid=os.getpid(),
            uptime_s=round(time.monotonic() - self.started_at, 3),
            state=state,
            draining=context.leaving,
            listeners=replace(self.listeners, panel=self.panel()),
            host_key_fingerprint=self.endpoint.fingerprint,
            agents_registered=registered,
            agents_online=len({tunnel.agent_id for tunnel in tunnels}),
            ssh_connections=self.endpoint.connection_count,
            gateway=GatewayReport(self.gateway.client_count, context.active, context.upstreams.parked_count),
            traffic=self.traffic.lately(),
            channels=Occupancy(
                idle=sum(tunnel.channels.idle for tunnel in tunnels) + cloud.channels_idle,
                busy=sum(tunnel.channels.busy for tunnel in tunnels) + cloud.channels_busy,
            ),
            store_connections=Occupancy(cloud.store_connections_idle, cloud.store_connections_busy),
            tunnels=tunnels,
            process=ProcessReport.now(self.own_connections()),
            door=self.endpoint.door,
        )
