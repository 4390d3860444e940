"""Targets from the gateway's form to the store's."""

from __future__ import annotations

import pytest

from agent.errors import BadRequest, MessageError
from agent.policy import METHODS, Rule, judge
from agent.store_url import Store
from agent.target import gateway_target, store_target

FOLDER = Store("https", "shop.example.com", 443, "/shop/")
VIRTUAL = Store("https", "shop.example.com", 443, "/shop/", "b2b/")
SHOP_2 = Store("https", "shop.example.com", 443, "/", "", "2")


@pytest.mark.parametrize(
    ("raw", "slug", "rest"),
    [
        (b"/lyon/api/products/1?display=full", b"lyon", b"/api/products/1?display=full"),
        (b"/lyon", b"lyon", b""),
        (b"/lyon/", b"lyon", b"/"),
        (b"/lyon?x=1", b"lyon", b"?x=1"),
        (b"/lyon?a=/api", b"lyon", b"?a=/api"),
        (b"/", b"", b""),
        (b"//lyon/api", b"", b"/lyon/api"),
        # one leading double slash before api, and nothing else
        (b"/lyon//api/products", b"lyon", b"/api/products"),
        (b"/lyon//api", b"lyon", b"/api"),
        (b"/lyon//api?a", b"lyon", b"/api?a"),
        (b"/lyon///api/products", b"lyon", b"///api/products"),
        (b"/lyon//apis", b"lyon", b"//apis"),
        (b"/lyon//admin", b"lyon", b"//admin"),
        (b"/lyon/api//products", b"lyon", b"/api//products"),
        (b"/lyon/%2Fapi", b"lyon", b"/%2Fapi"),
        (b"/ly%6Fn/api", b"ly%6Fn", b"/api"),
        # the PHP library's add, edit and their like
        (b"/lyon/api/products&id_shop=2", b"lyon", b"/api/products?id_shop=2"),
        (b"/lyon//api/products/1&id_shop=2", b"lyon", b"/api/products/1?id_shop=2"),
        (b"/lyon/api/products&id_shop=2&id_group_shop=3", b"lyon", b"/api/products?id_shop=2&id_group_shop=3"),
        (b"/lyon/api/products&id_group_shop=3?a=1", b"lyon", b"/api/products?id_group_shop=3&a=1"),
        (b"/lyon/api/products&id_shop=2?", b"lyon", b"/api/products?id_shop=2"),
        (b"/lyon/api/products&id_shop=x", b"lyon", b"/api/products&id_shop=x"),
        (b"/lyon/api/products&id_shop=2&url=x", b"lyon", b"/api/products&id_shop=2&url=x"),
        (b"/lyon/api/products&ps_method=DELETE", b"lyon", b"/api/products&ps_method=DELETE"),
        (b"/lyon/api/products%26id_shop=2", b"lyon", b"/api/products%26id_shop=2"),
        (b"/lyon/api/../x&id_shop=2", b"lyon", b"/api/../x&id_shop=2"),
        (b"/lyon/api/products?a&id_shop=2", b"lyon", b"/api/products?a&id_shop=2"),
        # absolute-form
        (b"http://gateway/lyon/api/products", b"lyon", b"/api/products"),
        (b"HTTPS://user:key@gateway:8080/lyon/api", b"lyon", b"/api"),
        (b"http:///lyon/api", b"lyon", b"/api"),
        (b"/lyon/http://other/api", b"lyon", b"/http://other/api"),
    ],
)
def test_gateway_target(raw: bytes, slug: bytes, rest: bytes) -> None:
    assert gateway_target(raw) == (slug, rest)


@pytest.mark.parametrize(
    "raw", [b"", b"*", b"shop:443", b"lyon/api", b"?a", b"http://gateway", b"http://g?x", b"ftp://g/x"]
)
def test_a_target_without_a_path_is_no_request(raw: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        gateway_target(raw)
    assert caught.value.answer is BadRequest


@pytest.mark.parametrize(
    ("store", "rest", "target"),
    [
        (FOLDER, b"/api/products", b"/shop/api/products"),
        (FOLDER, b"/api", b"/shop/api"),
        (VIRTUAL, b"/api/?schema=blank", b"/shop/b2b/api/?schema=blank"),
        (SHOP_2, b"/api/products", b"/api/products?id_shop=2"),
        (SHOP_2, b"/api/products?", b"/api/products?id_shop=2"),
        (SHOP_2, b"/api/products?limit=1", b"/api/products?limit=1&id_shop=2"),
        (SHOP_2, b"/api/products?limit=1&", b"/api/products?limit=1&id_shop=2"),
        (SHOP_2, b"/api/products?id_shop=2", b"/api/products?id_shop=2"),
        (SHOP_2, b"/api/products?id_shop=3&a", b"/api/products?id_shop=3&a"),
        (SHOP_2, b"/api/products?a=1;id.shop=3", b"/api/products?a=1;id.shop=3"),
        (SHOP_2, b"/api/products?xid_shop=3", b"/api/products?xid_shop=3&id_shop=2"),
    ],
)
def test_store_target(store: Store, rest: bytes, target: bytes) -> None:
    assert store_target(store, rest) == target


@pytest.mark.parametrize("store", [FOLDER, VIRTUAL, SHOP_2])
@pytest.mark.parametrize(
    "raw",
    [b"/lyon", b"/lyon/", b"/lyon?x", b"/lyon/admin", b"/lyon///api", b"/lyon/../api", b"/lyon/api/..", b"/lyon//apix",
     b"/lyon/shop/api", b"/lyon//api//products", b"/lyon/./api"],
)  # a table to be compared by eye  # fmt: skip
def test_nothing_but_the_webservice_comes_through_the_policy(store: Store, raw: bytes) -> None:
    target = store_target(store, gateway_target(raw)[1])
    assert not judge(Rule(store, frozenset(METHODS)), b"GET", target, None).allowed
