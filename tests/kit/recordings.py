"""Finds and reads exchanges: those of a real PrestaShop (kept beside the repository) and those we wrote.

The recordings are looked for in ``$PRESTASHOP_RECORDINGS``, then in ``../shared/recordings`` beside the
repository; nothing of them is ever copied into it. Our own exchanges lie in ``tests/exchanges/`` in the
same format.
"""

from __future__ import annotations

import base64
import functools
import json
import os
from pathlib import Path
from typing import Any

from tests.kit.exchange import BodyFill, Exchange, Headers, Interim, RecordedRequest, RecordedResponse

__all__ = [
    "NOT_THERE",
    "BodyFill",
    "Exchange",
    "Interim",
    "RecordedRequest",
    "RecordedResponse",
    "load_own_exchanges",
    "load_recordings",
    "recordings_folder",
]

REPOSITORY = Path(__file__).resolve().parents[2]
OWN_EXCHANGES = REPOSITORY / "tests" / "exchanges"
NOT_THERE = "the recordings of a real PrestaShop are not there: ../shared/recordings or $PRESTASHOP_RECORDINGS"


def recordings_folder() -> Path | None:
    """Folder with exchanges.jsonl, seed.json, resources.json and images/; None when it is not there."""
    configured = os.environ.get("PRESTASHOP_RECORDINGS")
    folder = Path(configured) if configured else REPOSITORY.parent / "shared" / "recordings"
    return folder if (folder / "exchanges.jsonl").is_file() else None


@functools.cache
def _recordings(folder: Path) -> tuple[Exchange, ...]:
    return tuple(sorted(_read(folder / "exchanges.jsonl"), key=lambda exchange: exchange.run_order))


def load_recordings() -> list[Exchange] | None:
    """All recorded exchanges in the order in which they ran; None when the recordings are not there."""
    folder = recordings_folder()
    return None if folder is None else list(_recordings(folder))


def recorded_key(exchange_id: str) -> str:
    """The webservice key that a recorded request carries as Basic user name; 32 zeros without the recordings."""
    for exchange in load_recordings() or ():
        if exchange.id == exchange_id:
            value = next(value for name, value in exchange.request.headers if name.lower() == "authorization")
            return base64.b64decode(value.partition(" ")[2]).decode().partition(":")[0]
    return "0" * 32


def load_own_exchanges() -> list[Exchange]:
    """The exchanges of our own writing, file by file in name order, each file in run order."""
    return [
        exchange
        for path in sorted(OWN_EXCHANGES.glob("*.jsonl"))
        for exchange in sorted(_read(path), key=lambda exchange: exchange.run_order)
    ]


def _read(path: Path) -> list[Exchange]:
    with path.open(encoding="utf-8") as lines:
        return [_exchange(json.loads(line)) for line in lines if line.strip()]


def _exchange(record: dict[str, Any]) -> Exchange:
    connection = record.get("connection")
    created_id = record.get("created_id")
    return Exchange(
        id=record["id"],
        group=record["group"],
        core=bool(record.get("core", False)),
        run_order=int(record["run_order"]),
        note=record.get("note", ""),
        setup=record["setup"],
        front=record["front"]["name"],
        connect=record["front"].get("connect", ""),
        tls=bool(record["front"].get("tls", False)),
        request=_request(record["request"]),
        response=_response(record["response"]),
        closed_after=bool(record.get("connection_closed_after", False)),
        connection=None if connection is None else (connection["id"], int(connection["seq"])),
        created_id=None if created_id is None else str(created_id),
        masked=bool(record.get("masked")),
    )


def _request(record: dict[str, Any]) -> RecordedRequest:
    fill = record.get("body_fill")
    body = _body(record, "body")
    return RecordedRequest(
        method=record["method"],
        target=record["target"],
        version=record["version"],
        headers=_headers(record["headers"]),
        framing=record.get("framing") or "none",
        chunks=tuple(record.get("chunks") or ()),
        body=(body or b"") if fill is None else None,
        fill=None if fill is None else _fill(fill),
        body_length=int(record.get("body_length", 0)),
        body_sha256=record.get("body_sha256"),
    )


def _response(record: dict[str, Any]) -> RecordedResponse:
    truncated = bool(record.get("body_truncated", False))
    body = _body(record, "body")
    kept = _body(record, "body_head") if truncated else body
    return RecordedResponse(
        version=record["version"],
        status=int(record["status"]),
        reason=record["reason"],
        headers=_headers(record["headers"]),
        framing=record["framing"],
        chunks=_chunk_sizes(record),
        interim=tuple(
            Interim(one["version"], int(one["status"]), one["reason"], _headers(one["headers"]))
            for one in record.get("interim", ())
        ),
        body_length=int(record["body_length"]),
        body_sha256=record.get("body_sha256", ""),
        body=None if truncated else (body or b""),
        kept_body=kept or b"",
    )


def _chunk_sizes(record: dict[str, Any]) -> tuple[int, ...]:
    """The recorded sizes; of a summary its first and last ones with the biggest size between them."""
    summary = record.get("chunks_summary")
    if summary is None:
        return tuple(record.get("chunks") or ())
    first, last, biggest = list(summary["first"]), list(summary["last"]), int(summary["max"])
    between = int(record["body_length"]) - sum(first) - sum(last)
    middle = [biggest] * (between // biggest) + ([between % biggest] if between % biggest else [])
    return tuple(first + middle + last)


def _headers(pairs: list[list[str]]) -> Headers:
    return tuple((name, value) for name, value in pairs)


def _fill(record: dict[str, Any]) -> BodyFill:
    return BodyFill(
        prefix=record.get("prefix_text", "").encode(),
        text=record["text"].encode(),
        times=int(record["times"]),
        suffix=record.get("suffix_text", "").encode(),
    )


def _body(record: dict[str, Any], name: str) -> bytes | None:
    if (text := record.get(f"{name}_text")) is not None:
        return str(text).encode()
    if (encoded := record.get(f"{name}_b64")) is not None:
        return base64.b64decode(encoded)
    return None
