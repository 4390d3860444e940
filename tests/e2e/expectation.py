"""The bytes that a forwarded exchange must put on the store's and on the client's socket.

Written out once more here, from the closed lists themselves and not from the product's code: a recorded request
reaches the store, and a recorded response the client, with these differences and no other.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from tests.e2e.placement import Placed
from tests.kit.exchange import Headers

STORE_SEES = frozenset(
    "user-agent accept accept-encoding accept-language content-type content-length content-encoding transfer-encoding "
    "expect range output-format io-format local-content-sha1 if-none-match if-modified-since "
    "x-request-id traceparent".split()
)
STORE_NEVER_SEES = frozenset(
    "connection cookie forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-http-method-override x-pad "
    "origin access-control-request-method keep-alive te referer".split()
)
REPLACED = frozenset({"host", "authorization"})

CLIENT_NEVER_SEES = frozenset(
    "connection keep-alive proxy-connection te upgrade set-cookie set-cookie2 proxy-status x-request-id x-tunnel-nonce "
    "x-content-type-options content-security-policy".split()
)

_WS_KEY = re.compile(r"([?&])ws_key=[^&]*(&|$)")


def store_head(placed: Placed, request_id: str) -> bytes:
    """The request head at the store: own Host and key, what may pass in its order and case, the request id."""
    request, route = placed.exchange.request, placed.route
    lines = [
        f"{request.method} {store_target(placed)} HTTP/1.1",
        f"Host: {route.place.shop_host}",
    ]
    if route.key_in == "basic":
        lines.append("Authorization: Basic " + base64.b64encode(f"{route.api_key}:".encode()).decode())
    for name, value in placed.headers:
        lower = name.lower()
        if lower in REPLACED or lower in STORE_NEVER_SEES or lower == "x-request-id":
            continue
        assert lower in STORE_SEES, f"{name} is on neither list"
        if lower == "expect" and request.version == "HTTP/1.0":
            continue
        as_xml = lower == "content-type" and request.method == "POST" and "multipart" not in value
        lines.append(f"{name}: text/xml" if as_xml else f"{name}: {value}")
    return "\r\n".join([*lines, f"X-Request-Id: {request_id}", "", ""]).encode("latin-1")


def store_target(placed: Placed) -> str:
    """The recorded target in origin-form, two spellings of the PHP library put right, the key where it goes."""
    target = placed.target
    if target.startswith("//api"):
        target = target[1:]
    if "?" not in target:
        target = re.sub(r"&(id_shop=|id_group_shop=)", r"?\1", target, count=1)
    without_key = _WS_KEY.sub(lambda found: found[1] if found[2] else "", target)
    target = placed.route.base_path + without_key[1:]
    if placed.route.key_in == "ws_key":
        target += ("&" if "?" in target else "?") + f"ws_key={placed.route.api_key}"
    return target


def closes(placed: Placed) -> bool:
    """Does the client's connection end with this answer?"""
    request = placed.exchange.request
    asked = request.version == "HTTP/1.0" or (request.header("Connection") or "").lower() == "close"
    return asked or placed.exchange.response.framing == "eof"


def client_bytes(placed: Placed, request_id: str) -> Iterator[bytes]:
    """The answer at the client: the recorded one, its head less and more a closed list."""
    exchange = placed.exchange
    response = exchange.response
    if exchange.request.version != "HTTP/1.0":
        for interim in response.interim:
            yield _head(f"{interim.version} {interim.status} {interim.reason}", _passed(interim.headers))
    own = [("X-Request-Id", request_id)]
    if closes(placed):
        own.append(("Connection", "close"))
    own += [("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "sandbox")]
    yield _head(f"{response.version} {response.status} {response.reason}", (*_passed(response.headers), *own))
    if exchange.request.method != "HEAD":
        yield response.wire_body()


def _passed(headers: Headers) -> Headers:
    named = {
        option.strip().lower() for name, value in headers if name.lower() == "connection" for option in value.split(",")
    }
    return tuple(
        (name, value) for name, value in headers if name.lower() not in CLIENT_NEVER_SEES and name.lower() not in named
    )


def _head(first_line: str, headers: Headers) -> bytes:
    lines = [first_line, *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
