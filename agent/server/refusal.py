"""A request that the gateway answers itself: the error as the client gets it, and as it stands in the record."""

from __future__ import annotations

from typing import Final

from agent.errors import ExchangeError
from agent.redact import loggable_target
from agent.rewrite import error_response
from agent.server.gateway_context import GatewayRecord
from agent.server.order import Order, new_request_id

PROXY_NAME: Final = "integration-server"


class Refusal:
    """``error`` as the answer to ``order``; without an order what came could not be understood as a request."""

    __slots__ = ("_error", "_order", "_request_id")

    def __init__(self, error: ExchangeError, order: Order | None) -> None:
        self._error = error
        self._order = order
        self._request_id = order.request_id if order is not None else new_request_id()

    def answer(self, *, close: bool) -> bytes:
        """The whole answer; ``close``: the connection ends with it."""
        order = self._order
        return error_response(
            self._error,
            proxy=PROXY_NAME,
            as_json=order is not None and order.as_json,
            to_head=order is not None and order.to_head,
            request_id=self._request_id,
            close=close,
        )

    @property
    def record(self) -> GatewayRecord:
        """For the record: a request that never became an exchange is in it, too."""
        order, error = self._order, self._error
        return GatewayRecord(
            request_id=self._request_id.decode(),
            connection=order.route.slug if order is not None and order.route is not None else "",
            key_id=order.grant.key_id if order is not None and order.grant is not None else "",
            method=order.head.method.decode("ascii") if order is not None else "",
            target=loggable_target(order.head.target) if order is not None else "",
            status=error.status,
            answered_by="gateway",
            error=error.name,
            elapsed_s=0.0,
            bytes_up=0,
            bytes_down=0,
            trace_id=order.trace_id if order is not None else "",
        )
