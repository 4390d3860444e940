"""From a request head to what is asked of a store."""

from __future__ import annotations

import base64
import hashlib

import pytest

from agent.errors import MessageError
from agent.http1 import RequestHead, parse_request_head
from agent.policy import METHODS, Rule
from agent.server.order import Order, new_request_id, request_id_of, take_order
from agent.server.routes import KeyGrant, Route, RoutingTable
from agent.store_url import parse_store

KEY = "A" * 32
BASIC = b"Authorization: Basic " + base64.b64encode(KEY.encode() + b":") + b"\r\n"
STORE = parse_store("https://shop.example/shop/")
PINNED = parse_store("https://multi.example/?id_shop=3")
NOW = 1_000_000.0


def route(slug: str = "lyon", **changes: object) -> Route:
    store = changes.pop("store", STORE)
    values: dict[str, object] = {
        "connection_id": f"id-{slug}",
        "slug": slug,
        "name": slug,
        "mode": "cloud",
        "agent_id": None,
        "store": store,
        "enabled": True,
        "api_key": "STOREKEY",
        "key_in": "basic",
        "rule": Rule(store, frozenset(METHODS)),  # type: ignore[arg-type]  # store is one of the values
    }
    return Route(**{**values, **changes})  # type: ignore[arg-type]  # any of its fields


def table_of(*routes: Route, **grant: object) -> RoutingTable:
    table = RoutingTable()
    values: dict[str, object] = {
        "key_id": "k1",
        "sha256": hashlib.sha256(KEY.encode()).digest(),
        "connection_ids": None,
    }
    table.replace(routes, [KeyGrant(**{**values, **grant})])  # type: ignore[arg-type]  # any of its fields
    return table


def head(target: bytes, fields: bytes = BASIC, *, method: bytes = b"GET", version: bytes = b"1.1") -> RequestHead:
    return parse_request_head(method + b" " + target + b" HTTP/" + version + b"\r\nHost: gw\r\n" + fields + b"\r\n")


def order(target: bytes, fields: bytes = BASIC, table: RoutingTable | None = None, **request: bytes) -> Order:
    return take_order(head(target, fields, **request), table or table_of(route()), NOW)


def test_the_head_for_the_tunnel() -> None:
    made = order(b"/lyon/api/products?limit=1", BASIC + b"X-Request-Id: caller-id-1\r\nAccept: */*\r\nCookie: a\r\n")
    store_key = base64.b64encode(b"STOREKEY:")
    assert made.error is None
    assert made.sent_head == (
        b"GET https://shop.example/shop/api/products?limit=1 HTTP/1.1\r\nHost: shop.example\r\n"
        b"Authorization: Basic " + store_key + b"\r\nAccept: */*\r\nX-Request-Id: caller-id-1\r\n\r\n"
    )
    assert made.plain_head.startswith(b"GET /shop/api/products?limit=1 HTTP/1.1\r\nHost: shop.example\r\n")
    assert made.target == b"/shop/api/products?limit=1"


def test_the_api_key_can_go_into_the_query() -> None:
    table = table_of(route(key_in="ws_key"))
    for target, expected in (
        (b"/lyon/api/products", b"/shop/api/products?ws_key=STOREKEY"),
        (b"/lyon/api/products?limit=1", b"/shop/api/products?limit=1&ws_key=STOREKEY"),
    ):
        sent = order(target, table=table).sent_head
        assert sent.startswith(b"GET https://shop.example" + expected + b" HTTP/1.1\r\n")
        assert b"Authorization" not in sent


def test_the_store_sees_its_own_host_name() -> None:
    made = order(b"/lyon/api", table=table_of(route(shop_host="www.shop.example")))
    assert b" https://shop.example/shop/api HTTP/1.1\r\nHost: www.shop.example\r\n" in made.sent_head


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/lyon//api/products", b"/shop/api/products"),
        (b"/lyon/api/products&id_lang=1", None),
        (b"/lyon/api/products?display=full&a=%5B1%5D", b"/shop/api/products?display=full&a=%5B1%5D"),
        (b"http://gw:8080/lyon/api/products", b"/shop/api/products"),
        (b"/lyon", None),
        (b"/lyon/", None),
        (b"/lyon/admin/", None),
        (b"/lyon/api/../admin", None),
        (b"/lyon/api/%2e%2e/admin", None),
        (b"/lyon///api/products", None),
        (b"/lyon/api//products", None),
        (b"/lyon/api/products?ps_method=DELETE", None),
        (b"/lyon/api/products?ps%5Fmethod=DELETE", None),
        (b"/lyon/api/products?id_shop=1", None),
    ],
)
def test_what_is_asked_of_the_store(target: bytes, expected: bytes | None) -> None:
    made = order(target)
    if expected is None:
        assert made.error is not None
        assert made.error.name == "policy_denied"
        assert made.sent_head == b""
    else:
        assert made.error is None
        assert made.target == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/multi/api/products", b"/api/products?id_shop=3"),
        (b"/multi/api/products&id_shop=3", b"/api/products?id_shop=3"),
        (b"/multi/api/products&id_shop=3?display=full", b"/api/products?id_shop=3&display=full"),
        (b"/multi/api/products?limit=1", b"/api/products?limit=1&id_shop=3"),
        (b"/multi/api/products?id_shop=3&limit=1", b"/api/products?id_shop=3&limit=1"),
        (b"/multi/api/products?id_shop=4", None),
        (b"/multi/api/products&id_shop=4", None),
        (b"/multi/api/products?id_shop=3&id.shop=4", None),
        (b"/multi/api/products?id_group_shop=1", None),
    ],
)
def test_the_shop_of_a_multistore_is_pinned(target: bytes, expected: bytes | None) -> None:
    made = order(target, table=table_of(route("multi", store=PINNED)))
    assert (made.error is None) is (expected is not None)
    if expected is not None:
        assert made.sent_head.startswith(b"GET https://multi.example" + expected + b" HTTP/1.1\r\n")


@pytest.mark.parametrize("target", [b"*", b"gw:443", b"x"])
def test_a_target_without_a_path_is_no_request(target: bytes) -> None:
    with pytest.raises(MessageError):
        order(target)


WS_KEYS = [b"ws_key", b"ws%5Fkey", b"ws.key", b"ws+key", b"ws%20key", b"+ws_key", b"ws[key", b"%77s_key", b"ws_key%00x"]


@pytest.mark.parametrize("name", WS_KEYS)
def test_ws_key_is_heard_and_taken_out_in_every_spelling(name: bytes) -> None:
    for query, left in (
        (name + b"=" + KEY.encode(), b""),
        (b"limit=1&" + name + b"=" + KEY.encode(), b"?limit=1"),
        (name + b"=" + KEY.encode() + b"&limit=1&" + name + b"=" + KEY.encode(), b"?limit=1"),
    ):
        made = order(b"/lyon/api/products?" + query, b"")
        assert made.error is None, made.error
        assert made.target == b"/shop/api/products" + left
        assert KEY.encode() not in made.sent_head


def test_the_callers_credential_never_reaches_the_store() -> None:
    for fields in (BASIC, b"Authorization: Bearer " + KEY.encode() + b"\r\n"):
        made = order(b"/lyon/api/products?ws_key=" + KEY.encode(), fields)
        assert made.error is None
        assert KEY.encode() not in made.sent_head
        assert made.sent_head.count(b"Authorization") == 1
        assert base64.b64encode(KEY.encode() + b":") not in made.sent_head


@pytest.mark.parametrize(
    ("target", "fields", "grant"),
    [
        (b"/lyon/api", b"", {}),
        (b"/lyon/api", b"Authorization: Basic " + base64.b64encode(b"wrong:") + b"\r\n", {}),
        (b"/lyonx/api", BASIC, {}),
        (b"/LYON/api", BASIC, {}),
        (b"/%6cyon/api", BASIC, {}),
        (b"//lyon/api", BASIC, {}),
        (b"/api/products", BASIC, {}),
        (b"/", BASIC, {}),
        (b"/lyon/api", BASIC, {"expires_at": NOW}),
        (b"/lyon/api", BASIC, {"connection_ids": frozenset({"id-other"})}),
        (b"/lyon/api", BASIC, {"connection_ids": frozenset()}),
        (b"/lyon/api", BASIC + BASIC, {}),
    ],
)
def test_whatever_does_not_fit_is_the_same_401(target: bytes, fields: bytes, grant: dict[str, object]) -> None:
    made = order(target, fields, table_of(route(), **grant))
    assert made.error is not None
    assert made.error.message == "client_key_invalid: " + made.error.summary + " " + made.error.remedy
    assert (made.route, made.grant, made.sent_head) == (None, None, b"")


@pytest.mark.parametrize(
    "grant", [{"expires_at": NOW + 1}, {"connection_ids": frozenset({"id-lyon"})}, {"methods": frozenset({"GET"})}]
)
def test_a_key_within_its_bounds_opens(grant: dict[str, object]) -> None:
    assert order(b"/lyon/api", table=table_of(route(), **grant)).error is None


def test_a_disabled_connection_says_so_to_a_good_key_only() -> None:
    table = table_of(route(enabled=False))
    assert getattr(order(b"/lyon/api", table=table).error, "name", "") == "connection_disabled"
    assert getattr(order(b"/lyon/api", b"", table=table).error, "name", "") == "client_key_invalid"


def test_rights_are_scopes_and_grammar_is_policy() -> None:
    reads = table_of(route(), methods=frozenset({"GET"}))
    assert getattr(order(b"/lyon/api/products", table=reads, method=b"DELETE").error, "name", "") == "scope_denied"
    assert getattr(order(b"/lyon/api/products", table=reads, method=b"HEAD").error, "name", "") == "scope_denied"
    products = table_of(route(rule=Rule(STORE, frozenset(METHODS), frozenset({"products"}))))
    assert getattr(order(b"/lyon/api/orders", table=products).error, "name", "") == "scope_denied"
    assert order(b"/lyon/api/products/1", table=products, method=b"DELETE").error is None
    assert getattr(order(b"/lyon/api/products", method=b"TRACE").error, "name", "") == "policy_denied"
    put = order(b"/lyon/api/images/products/1/2?ps_method=PUT", table=reads, method=b"POST")
    assert getattr(put.error, "name", "") == "scope_denied"


def test_the_effective_method_decides_what_is_safe() -> None:
    assert order(b"/lyon/api/products").safe
    assert order(b"/lyon/api/products", method=b"HEAD").safe
    assert not order(b"/lyon/api/products", method=b"POST").safe
    assert order(b"/lyon/api/products", method=b"HEAD").to_head


def test_an_expectation_of_http_1_0_is_dropped() -> None:
    expect = BASIC + b"Expect: 100-continue\r\n"
    assert b"Expect: 100-continue\r\n" in order(b"/lyon/api", expect).sent_head
    assert b"Expect" not in order(b"/lyon/api", expect, version=b"1.0").sent_head


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"abcdefgh", True),
        (b"A-Z_0.9-aaaa", True),
        (b"a" * 64, True),
        (b"a" * 65, False),
        (b"short", False),
        (b"with blank", False),
        (b"injection\xe9", False),
        (b'<script>"', False),
    ],
)
def test_a_callers_request_id_is_kept_when_it_is_harmless(given: bytes, kept: bool) -> None:
    made = request_id_of(head(b"/", b"X-Request-Id: " + given + b"\r\n"))
    assert (made == given) is kept
    assert len(made) >= 8


def test_new_request_ids_differ() -> None:
    assert len({new_request_id() for _ in range(100)}) == 100
    assert len(request_id_of(head(b"/"))) == 16


def test_nothing_shows_a_secret() -> None:
    one = route(api_key="VERYSECRET")
    assert "VERYSECRET" not in repr(one)
    assert "VERYSECRET" not in repr(table_of(one))


def test_an_api_key_in_the_query_is_one_value_whatever_it_holds() -> None:
    table = table_of(route(key_in="ws_key", api_key="A&B+C#%25"))
    sent = order(b"/lyon/api/products?limit=1", table=table).sent_head.split(b"\r\n")[0]
    assert sent.endswith(b"/api/products?limit=1&ws_key=A%26B%2BC%23%2525 HTTP/1.1")


def test_no_credential_shows_in_a_repr() -> None:
    made = order(b"/lyon/api/products?ws_key=" + KEY.encode())
    assert made.sent_head
    for secret in (KEY, "STOREKEY", base64.b64encode(b"STOREKEY:").decode(), base64.b64encode(KEY.encode()).decode()):
        assert secret not in repr(made)
        assert secret not in repr(made.head)
