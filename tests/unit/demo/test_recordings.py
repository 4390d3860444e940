"""The loader of exchanges gives back the bytes that went over the wire."""

from __future__ import annotations

import hashlib

import pytest

from tests.kit.recordings import NOT_THERE, Exchange, load_own_exchanges, load_recordings
from tests.kit.tools import missing


def check(exchange: Exchange) -> None:
    """Every body has its recorded length and checksum, and its wire form its recorded framing."""
    request, response = exchange.request, exchange.response
    digest, length = hashlib.sha256(), 0
    for piece in request.body_pieces():
        digest.update(piece)
        length += len(piece)
    assert length == request.body_length
    assert request.body_sha256 in (None, digest.hexdigest())
    assert request.head_bytes().startswith(f"{request.method} {request.target} ".encode("latin-1"))
    assert len(response.replay_body()) == response.body_length
    if not response.truncated:
        assert hashlib.sha256(response.replay_body()).hexdigest() == response.body_sha256
    if response.framing == "chunked":
        assert response.wire_body().endswith(b"0\r\n\r\n")
        assert len(response.wire_body()) > response.body_length
    elif response.framing == "content-length":
        assert response.header("Content-Length") == str(len(response.wire_body()))
    elif response.framing == "none":
        assert response.wire_body() == b""


def test_recorded_exchanges_keep_length_and_checksum() -> None:
    recorded = load_recordings()
    if recorded is None:
        missing(NOT_THERE)
        return
    assert len(recorded) == 292
    assert len({exchange.id for exchange in recorded}) == 292
    for exchange in recorded:
        check(exchange)


def test_own_exchanges_keep_length_and_checksum() -> None:
    own = load_own_exchanges()
    assert len({exchange.id for exchange in own}) == len(own) >= 40
    assert {exchange.group for exchange in own} == {
        "auth",
        "encoding",
        "errors",
        "host",
        "image",
        "listing",
        "read",
        "write",
    }
    for exchange in own:
        check(exchange)


def test_chunked_request_has_the_sent_chunks() -> None:
    exchange = next(one for one in load_own_exchanges() if one.request.framing == "chunked")
    wire = b"".join(exchange.request.wire_body_pieces())
    assert wire.startswith(b"%x\r\n" % exchange.request.chunks[0])
    assert wire.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("exchange", [one for one in load_own_exchanges() if one.response.interim], ids=str)
def test_interim_answers_are_kept(exchange: Exchange) -> None:
    assert exchange.response.interim_bytes() == b"HTTP/1.1 100 Continue\r\n\r\n"
