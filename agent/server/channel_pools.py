"""The pools of all tunnels: made when a tunnel is READY, each knowing what its agent needed lately."""

from __future__ import annotations

from agent.server.channel_limits import ChannelLimits
from agent.server.channel_pool import ChannelPool
from agent.server.demand import Demand
from agent.server.gateway_context import GatewayContext, Phase
from agent.server.tunnel import Tunnel


class ChannelPools:
    """Makes pools; remembers the demand of each agent over its reconnects, and no more than that."""

    def __init__(self, context: GatewayContext, limits: ChannelLimits | None = None) -> None:
        self._context = context
        self._limits = limits
        self._demands: dict[str, Demand] = {}

    def make(self, tunnel: Tunnel) -> ChannelPool:
        """The pool of a tunnel that becomes READY; its first channels are on their way."""
        agent_id, upstreams = tunnel.agent_id, self._context.upstreams
        pool = ChannelPool(
            tunnel.open_channel,
            self._context.spawn,
            nonce=tunnel.nonce,
            plain=tunnel.plain,
            limits=self._limits,
            carrier=tunnel,
            demand=self._demands.setdefault(agent_id, Demand()),
            on_free=lambda: upstreams.wake(agent_id),
            round_trip=lambda: tunnel.round_trip_s,
        )
        if self._context.phase is not Phase.REFUSING:  # else its tasks may have been ended already
            pool.prepare()
        return pool
