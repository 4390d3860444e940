"""One line of the access log: what was asked of which store and how it ended, never a value. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from agent.forward.context import ExchangeRecord
from agent.redact import loggable_target
from agent.shown_time import shown_second

TIME_CHARS: Final = 24
"""``2026-11-26T10:00:00.123Z``: such times compare as text."""

_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))  # json.dumps makes one for each call


def access_line(at: float, record: ExchangeRecord) -> bytes:
    """The line, with its line feed; ``at`` (Unix seconds) is when the exchange ended, ``ms`` how long it took."""
    path, _, names = loggable_target(record.target).partition("?")
    line: dict[str, Any] = {
        "time": shown_time(at),
        "store": record.store,
        "method": record.method,
        "path": path,
        "parameters": names.split("&") if names else [],
        "status": record.status,
        "error": record.error,
        "ms": round(record.elapsed_s * 1000, 1),
        "bytes_to_store": record.bytes_to_store,
        "bytes_from_store": record.bytes_from_store,
        "request_id": record.request_id,
    }
    if record.trace_id:
        line["trace_id"] = record.trace_id
    return _ENCODER.encode(line).encode("ascii") + b"\n"


def shown_time(at: float) -> str:
    """UTC, with milliseconds."""
    second = int(at)
    return f"{shown_second(second)}.{int((at - second) * 1000):03d}Z"
