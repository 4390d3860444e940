"""One log line per exchange of the gateway: who asked for what, how it ended and by whom, without values."""

from __future__ import annotations

import structlog

from agent.log import info_lines, is_heard, json_text, json_word
from agent.server.gateway_context import GatewayRecord

_log = structlog.get_logger()


def log_exchange(record: GatewayRecord) -> None:
    """Write ``exchange.done`` at INFO."""
    if not is_heard("info"):
        return
    write = info_lines()
    if write is not None:
        write(_json_fields(record))
        return
    _log.info(
        "exchange.done",
        request_id=record.request_id,
        trace_id=record.trace_id or None,
        connection=record.connection,
        client_key_id=record.key_id,
        method=record.method,
        target=record.target,
        status=record.status,
        answered_by=record.answered_by,
        error=record.error or None,
        elapsed_ms=round(record.elapsed_s * 1000, 1),
        bytes_up=record.bytes_up,
        bytes_down=record.bytes_down,
    )


def _json_fields(record: GatewayRecord) -> str:
    """The same, as ``info_lines`` takes them."""
    trace = f'"{record.trace_id}"' if record.trace_id else "null"
    error = f'"{record.error}"' if record.error else "null"
    return (
        f'"event": "exchange.done", "request_id": {json_text(record.request_id)}, "trace_id": {trace}, '
        f'"connection": {json_word(record.connection)}, "client_key_id": {json_word(record.key_id)}, '
        f'"method": {json_word(record.method)}, "target": {json_text(record.target)}, '
        f'"status": {record.status}, "answered_by": "{record.answered_by}", "error": {error}, '
        f'"elapsed_ms": {record.elapsed_s * 1000:.1f}, '
        f'"bytes_up": {record.bytes_up}, "bytes_down": {record.bytes_down}'
    )
