"""One log line per exchange: what was asked of which store and how it ended, without values of parameters."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from agent.errors import PolicyDenied
from agent.forward.context import ExchangeRecord
from agent.redact import loggable_target

_log = structlog.get_logger()


def in_turn(*takers: Callable[[ExchangeRecord], None]) -> Callable[[ExchangeRecord], None]:
    """Give each record to all of them."""

    def take(record: ExchangeRecord) -> None:
        for taker in takers:
            taker(record)

    return take


def log_exchange(record: ExchangeRecord) -> None:
    """Write the line: ``exchange.done``, ``exchange.denied`` (the policy) or ``exchange.failed``, at INFO.

    Those over a store's limit are ``exchange.limited`` at DEBUG: ``store.limited`` sums them up.
    """
    fields: dict[str, object] = {
        "store": record.store,
        "method": record.method,
        "target": loggable_target(record.target),
        "status": record.status,
        "ms": round(record.elapsed_s * 1000, 1),
        "bytes_to_store": record.bytes_to_store,
        "bytes_from_store": record.bytes_from_store,
        "request_id": record.request_id,
    }
    if record.trace_id:
        fields["trace_id"] = record.trace_id
    if not record.error:
        _log.info("exchange.done", **fields)
    elif record.summed_up:
        _log.debug("exchange.limited", error=record.error, **fields)
    elif record.error == PolicyDenied.name:
        _log.info("exchange.denied", error=record.error, **fields)
    else:
        _log.info("exchange.failed", error=record.error, **fields)
