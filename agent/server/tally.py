"""What an exchange took: bytes both ways, and the moments from which its times are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.redact import loggable_target
from agent.server.gateway_context import GatewayRecord
from agent.server.order import Order
from agent.server.routes import Route

if TYPE_CHECKING:
    from agent.server.channel_pool import ChannelPool


class Tally:
    """Belongs to one exchange; ``first_at`` is the loop's time at the first byte of the answer that was passed on."""

    __slots__ = ("_began_at", "_pool", "_sent_at", "bytes_down", "bytes_up", "first_at")

    def __init__(self, began_at: float) -> None:
        self._began_at = began_at
        self._sent_at = self.first_at = 0.0
        self._pool: ChannelPool | None = None
        self.bytes_up = self.bytes_down = 0

    def sent(self, pool: ChannelPool, at: float) -> None:
        """The request was handed to a channel; when it is repeated, to the last one."""
        self._pool = pool
        self._sent_at = at

    def record(self, order: Order, route: Route, who: str, status: int, error: str, now: float) -> GatewayRecord:
        """The exchange as it ended at the loop's time ``now``; ``who`` answered."""
        began_at = self._began_at
        return GatewayRecord(  # by position: names would cost half as much again
            order.request_id.decode(),
            route.slug,
            order.grant.key_id if order.grant is not None else "",
            order.head.method.decode(),
            loggable_target(order.head.target),
            status,
            who,
            error,
            now - began_at,
            self.bytes_up,
            self.bytes_down,
            self._sent_at - began_at if self._sent_at else None,
            self.first_at - began_at if self.first_at else None,
            self._pool.round_trip() if self._pool is not None else None,
            order.trace_id,
        )
