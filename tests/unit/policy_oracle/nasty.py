"""Requests that try to mean something else than they say, made at random and biased to what has worked before."""

from __future__ import annotations

import random
from dataclasses import dataclass

from agent.policy import METHODS, Rule
from agent.store_url import Store

STORES = (
    Store("https", "shop.example.com", 443, "/"),
    Store("https", "shop.example.com", 443, "/shop/"),
    Store("http", "shop.example.com", 8080, "/", "b2b/"),
    Store("https", "shop.example.com", 443, "/", "", "2"),
    Store("https", "shop.example.com", 443, "/shop/", "b2b/", "all"),
)

MEANINGFUL = (b"ps_method", b"url", b"id_shop", b"id_group_shop", b"id_shop_group")
HARMLESS = (
    b"limit", b"display", b"filter[id]", b"filter%5Bname%5D", b"price[my_price][use_tax]", b"id", b"schema", b"sort",
    b"ws_key", b"output_format", b"urls", b"my_url", b"id_shopper", b"ps-method", b"ps_methods", b"_", b"date",
)  # a table to be compared by eye  # fmt: skip
VALUES = (
    b"DELETE", b"PUT", b"GET", b"delete", b"%44ELETE", b"customers", b"customers/5", b"1", b"2", b"%32", b"2%00",
    b"all", b"", b"full", b"[1|5]", b"%5Bid%2Cname%5D", b"caf\xc3\xa9", b"a;b", b"a=b", b"2 ", b"+2", b"1#",
)  # a table to be compared by eye  # fmt: skip
PATH_TRICKS = (
    b"%26ps_method=DELETE", b"&ps_method=DELETE", b"&id_shop=1", b"%26url=customers", b"%26id_shop%3D3", b"/..",
    b"/../customers", b"/%2e%2e/customers", b"%2f..%2fcustomers", b"/./", b"//", b";url=customers", b"%3Burl=customers",
    b"\\..\\customers", b"%5c..%5ccustomers", b"%00", b"%0a", b"%3fps_method=DELETE", b"#", b"%23", b".", b"%2e", b"%",
    b"%zz", b"+", b"%20", b"/*", b"\xc3\xa9",
)  # a table to be compared by eye  # fmt: skip
TOKENS = (
    b"ps", b"_", b"method", b"url", b"id", b"shop", b"group", b"id_shop", b"ps_method", b"id_shop=2", b"id_shop=all",
    b"&", b"&", b"&", b"=", b"=", b";", b"%", b"0", b"%00", b"%20", b"+", b".", b"[", b"]", b"%5B", b"%5d", b"%26",
    b"%3D", b"%3B", b"%70", b"%75rl", b"%2E", b"%5F", b"-", b"PUT", b"?", b"/", b"%09", b"%0a", b"\xc3\xa9", b"filter",
    b"limit=1", b"ps_method=PUT", b"DELETE", b"2", b"a",
)  # a table to be compared by eye  # fmt: skip
RESOURCES = (b"products", b"customers", b"orders", b"images/products/1", b"images/products/1/2", b"images", b"")


@dataclass(frozen=True, slots=True)
class Case:
    """A request as it would be sent to the store, and the rule that it has to pass."""

    rule: Rule
    method: str
    target: bytes
    content_type: bytes | None = None


def cases(rng: random.Random, count: int) -> list[Case]:
    """``count`` requests without a body worth reading."""
    return [_case(rng) for _ in range(count)]


def rule(rng: random.Random, store: Store | None = None) -> Rule:
    """A rule on one of the stores."""
    methods = frozenset(METHODS if rng.random() < 0.5 else rng.sample(METHODS, rng.randint(1, 6)))
    open_resources = frozenset({"products", "images"}) if rng.random() < 0.4 else None
    return Rule(store or rng.choice(STORES), methods, open_resources)


def spelling(rng: random.Random, name: bytes) -> bytes:
    """One of the many ways to write ``name`` that PHP may read as ``name``."""
    written = bytearray()
    for byte in name:
        if byte == ord("_") and rng.random() < 0.4:
            written += rng.choice((b".", b"+", b"%20", b"[", b"%5B", b"%2E", b"%5f", b"%5F"))
        elif rng.random() < 0.1:
            written += rng.choice((b"%%%02x", b"%%%02X")) % byte
        else:
            written.append(byte)
    head = rng.choice((b"", b"", b"", b"+", b"%20", b"++", b"%09", b"%00"))
    tail = rng.choice(
        (b"", b"", b"", b"%00", b"%00x", b"[]", b"[x]", b"%5B%5D", b"[", b"%5b", b".", b"+", b"%", b"[0][1]")
    )
    changed = head + bytes(written) + tail
    return changed.upper() if rng.random() < 0.05 else changed


def query(rng: random.Random, id_shop: str) -> bytes:
    """A query: mostly what clients send, now and then one parameter too many, or a handful of odd pieces."""
    if rng.random() < 0.3:
        odd = b"".join(rng.choices(TOKENS, k=rng.randint(1, 9)))
        return odd + b"&id_shop=" + id_shop.encode() if id_shop and rng.random() < 0.8 else odd
    pieces = [_parameter(rng) for _ in range(rng.randint(0, 4))]
    if id_shop and rng.random() < 0.9:
        pieces.insert(rng.randint(0, len(pieces)), b"id_shop=" + id_shop.encode())
    if rng.random() < 0.02:
        pieces[:0] = [b"x%d=" % number for number in range(rng.choice((150, 250, 1005)))]
    joint = rng.choice((b"&", b"&", b"&", b"&", b"&&", b";", b"%26", b"&amp;"))
    return joint.join(pieces)


def _parameter(rng: random.Random) -> bytes:
    dice = rng.random()
    if dice < 0.15:
        name = spelling(rng, rng.choice(MEANINGFUL))
    elif dice < 0.25:
        name = spelling(rng, rng.choice(HARMLESS))
    else:
        name = rng.choice(HARMLESS)
    joint = b"" if rng.random() < 0.05 else b"="
    return name + joint + rng.choice(VALUES)


def _case(rng: random.Random) -> Case:
    a_rule = rule(rng)
    method = rng.choice(("GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))
    resource = rng.choice(RESOURCES)
    if method == "POST" and rng.random() < 0.3:
        resource = b"images/products/1/2"
    path = a_rule.store.shop_path.encode() + b"api" + (b"/" if resource else b"") + resource
    if rng.random() < 0.15:
        at = rng.randint(1, len(path)) if rng.random() < 0.3 else len(path)
        path = path[:at] + rng.choice(PATH_TRICKS) + path[at:]
    elif rng.random() < 0.2:
        path += rng.choice((b"/", b"/1", b"/1/", b"//"))
    asked = query(rng, a_rule.store.id_shop)
    target = path + (b"?" + asked if asked or rng.random() < 0.1 else b"")
    if method == "POST" and resource.startswith(b"images") and rng.random() < 0.3:
        target += (b"&" if b"?" in target else b"?") + rng.choice((b"ps_method=PUT", b"ps_method=DELETE"))
    return Case(a_rule, method, target)
