"""From the bytes of an answer to what a diagnosis looks at. Pure: no I/O."""

from __future__ import annotations

import contextlib

from agent.body import ChunkedBody
from agent.doctor.answer import Fields, ProbeAnswer
from agent.errors import MessageError, StoreBadResponse
from agent.http1 import Framing, HeadBuffer, parse_response_head

INTERIM_MAX = 8


def read_answer(raw: bytes, *, to_head: bool, elapsed_s: float, body_max_bytes: int) -> ProbeAnswer:
    """The answer in ``raw``, which may end in the middle of the body; interim ones (1xx) before it are passed over.

    One that is not HTTP, or breaks its rules, becomes ``store_bad_response``.
    """
    heads = HeadBuffer(response=True)
    try:
        raw_head = heads.feed(raw)
        for _ in range(INTERIM_MAX):
            if raw_head is None or parse_response_head(raw_head, to_head=to_head).status >= 200:
                break
            raw_head = heads.feed(heads.take_rest())
        if raw_head is None:
            return ProbeAnswer(0, error_name=StoreBadResponse.name, elapsed_s=elapsed_s)
        head = parse_response_head(raw_head, to_head=to_head)
    except MessageError as error:
        return ProbeAnswer(0, error_name=StoreBadResponse.name, error_detail=error.detail, elapsed_s=elapsed_s)
    lines = raw_head[:-4].split(b"\r\n")[1:]
    fields: Fields = tuple((name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines))
    body = _dechunked(heads.rest) if head.framing is Framing.CHUNKED else heads.rest
    return ProbeAnswer(head.status, fields, bytes(body[:body_max_bytes]), None, elapsed_s)


def _dechunked(raw: bytes) -> bytes:
    payload: list[bytes] = []
    with contextlib.suppress(MessageError):  # what was kept may end in the middle of a chunk
        ChunkedBody(StoreBadResponse, payload).feed(raw)
    return b"".join(payload)
