"""One log line per exchange: what was asked of which store and how it ended, without values of parameters."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from agent.errors import PolicyDenied
from agent.forward.context import ExchangeRecord
from agent.log import info_lines, is_heard, json_text, json_word

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
    if record.summed_up:
        if is_heard("debug"):
            _log.debug("exchange.limited", **_fields(record))
    elif is_heard("info"):
        event = "done" if not record.error else "denied" if record.error == PolicyDenied.name else "failed"
        write = info_lines()
        if write is not None:
            write(_json_fields(event, record))
        else:
            _log.info(f"exchange.{event}", **_fields(record))


def _fields(record: ExchangeRecord) -> dict[str, object]:
    fields: dict[str, object] = {"error": record.error} if record.error else {}
    fields |= {
        "store": record.store,
        "method": record.method,
        "target": record.target,
        "status": record.status,
        "ms": round(record.elapsed_s * 1000, 1),
        "bytes_to_store": record.bytes_to_store,
        "bytes_from_store": record.bytes_from_store,
        "request_id": record.request_id,
    }
    if record.trace_id:
        fields["trace_id"] = record.trace_id
    return fields


def _json_fields(event: str, record: ExchangeRecord) -> str:
    """The same, as ``info_lines`` takes them."""
    error = f'"error": "{record.error}", ' if record.error else ""
    trace = f', "trace_id": "{record.trace_id}"' if record.trace_id else ""
    return (
        f'"event": "exchange.{event}", {error}"store": {json_word(record.store)}, '
        f'"method": {json_word(record.method)}, "target": {json_text(record.target)}, '
        f'"status": {record.status}, "ms": {record.elapsed_s * 1000:.1f}, '
        f'"bytes_to_store": {record.bytes_to_store}, "bytes_from_store": {record.bytes_from_store}, '
        f'"request_id": {json_text(record.request_id)}{trace}'
    )
