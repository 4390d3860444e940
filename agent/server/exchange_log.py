"""One log line per exchange of the gateway: who asked for what, how it ended and by whom, without values."""

from __future__ import annotations

import structlog

from agent.log import info_lines, is_heard, json_text
from agent.server.traffic import ExchangeEntry

_log = structlog.get_logger()


def log_exchange(entry: ExchangeEntry) -> None:
    """Write ``exchange.done`` at INFO."""
    if not is_heard("info"):
        return
    write = info_lines()
    if write is not None:
        write(_json_fields(entry))
        return
    _log.info(
        "exchange.done",
        request_id=entry.request_id,
        trace_id=entry.trace_id or None,
        connection=entry.connection,
        client_key_id=entry.key_id,
        method=entry.method,
        target=entry.target,
        status=entry.status,
        answered_by=entry.answered_by,
        error=entry.error or None,
        elapsed_ms=entry.total_ms,
        bytes_up=entry.bytes_up,
        bytes_down=entry.bytes_down,
    )


def _json_fields(entry: ExchangeEntry) -> str:
    """The same, as ``info_lines`` takes them."""
    trace = f'"{entry.trace_id}"' if entry.trace_id else "null"
    error = f'"{entry.error}"' if entry.error else "null"
    return (
        f'"event": "exchange.done", "request_id": {json_text(entry.request_id)}, "trace_id": {trace}, '
        f'"connection": {json_text(entry.connection)}, "client_key_id": {json_text(entry.key_id)}, '
        f'"method": {json_text(entry.method)}, "target": {json_text(entry.target)}, "status": {entry.status}, '
        f'"answered_by": "{entry.answered_by}", "error": {error}, "elapsed_ms": {entry.total_ms}, '
        f'"bytes_up": {entry.bytes_up}, "bytes_down": {entry.bytes_down}'
    )
