"""Where a client key is looked for, in PrestaShop's order."""

from __future__ import annotations

import base64

import pytest

from agent.http1 import parse_request_head
from agent.server.credentials import KEY_MAX_BYTES
from agent.server.order import KnownFields


def basic(text: bytes) -> bytes:
    return b"Authorization: Basic " + base64.b64encode(text) + b"\r\n"


def key_of(fields: bytes = b"", target: bytes = b"/api") -> bytes | None:
    head = parse_request_head(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
    return KnownFields().client_key(head, target)


@pytest.mark.parametrize(
    ("fields", "target", "expected"),
    [
        (b"", b"/api", None),
        (basic(b"KEY:"), b"/api", b"KEY"),
        (basic(b"KEY:password:x"), b"/api", b"KEY"),
        (basic(b"KEY"), b"/api", None),
        (basic(b":password"), b"/api", None),
        (b"authorization: bASIC   " + base64.b64encode(b"KEY:") + b" \r\n", b"/api", b"KEY"),
        (b"Authorization: Basic\r\n", b"/api", None),
        (b"Authorization: Basic not*base64\r\n", b"/api", None),
        (b"Authorization: Basic S0VZOg\r\n", b"/api", None),
        (b"Authorization: Bearer KEY\r\n", b"/api", b"KEY"),
        (b"Authorization: BEARER  KEY\r\n", b"/api", b"KEY"),
        (b"Authorization: Bearer \r\n", b"/api", None),
        (b"", b"/api?ws_key=KEY", b"KEY"),
        (b"", b"/api?a=1&ws_key=KEY&b=2", b"KEY"),
        (b"", b"/api?ws_key=FIRST&ws_key=LAST", b"LAST"),
        (b"", b"/api?ws%5fkey=K%45Y", b"KEY"),
        (b"", b"/api?ws.key=KEY", b"KEY"),
        (b"", b"/api?ws_key[]=KEY", None),
        (b"", b"/api?ws_key=", None),
        (b"", b"/api?xws_key=KEY", None),
        (b"", b"/api/ws_key=KEY", None),
        # A Basic credential wins even when it is wrong; another scheme leaves the way to ws_key open.
        (basic(b"BASIC:"), b"/api?ws_key=QUERY", b"BASIC"),
        (b"Authorization: Basic ***\r\n", b"/api?ws_key=QUERY", None),
        (b"Authorization: Bearer TOKEN\r\n", b"/api?ws_key=QUERY", b"TOKEN"),
        (b"Authorization: Digest x\r\n", b"/api?ws_key=QUERY", b"QUERY"),
        # Two are a contradiction.
        (basic(b"A:") + basic(b"A:"), b"/api?ws_key=QUERY", None),
        (basic(b"A:") + b"AUTHORIZATION: Bearer B\r\n", b"/api", None),
    ],
)
def test_the_key(fields: bytes, target: bytes, expected: bytes | None) -> None:
    assert key_of(fields, target) == expected


def test_keys_are_cut_at_a_bound() -> None:
    long = b"K" * 1000
    for found in (key_of(basic(long + b":")), key_of(b"Authorization: Bearer " + long + b"\r\n")):
        assert found == long[:KEY_MAX_BYTES]
    assert key_of(target=b"/api?ws_key=" + long) == long[:KEY_MAX_BYTES]
