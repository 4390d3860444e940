"""The comparison of the contract test notices what matters, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.kit.exchange import Exchange
from tests.kit.likeness import differences
from tests.kit.recordings import load_own_exchanges
from tests.kit.wire_client import WireResponse

OWN = {exchange.id: exchange for exchange in load_own_exchanges()}


def same(exchange: Exchange) -> WireResponse:
    """The answer of an exchange, as a client would have got it."""
    one = exchange.response
    interim = [each.head_bytes() for each in one.interim]
    return WireResponse(
        one.version, one.status, one.reason, one.headers, one.framing, one.replay_body(), interim=interim
    )


def with_header(name: str, value: str) -> Callable[[WireResponse], WireResponse]:
    return lambda got: replace(got, headers=tuple((key, value if key == name else old) for key, old in got.headers))


def with_body(old: bytes, new: bytes) -> Callable[[WireResponse], WireResponse]:
    def change(got: WireResponse) -> WireResponse:
        assert old in got.body
        return replace(got, body=got.body.replace(old, new, 1))

    return change


@pytest.mark.parametrize("exchange", OWN.values(), ids=str)
def test_an_equal_answer_is_alike(exchange: Exchange) -> None:
    assert differences(exchange, same(exchange)) == {}


@pytest.mark.parametrize(
    ("identifier", "change"),
    [
        ("own-read-product", with_header("Date", "Tue, 01 Jan 2030 00:00:00 GMT")),
        ("own-read-product", with_header("Execution-Time", "3.5")),
        ("own-read-product", with_header("Content-Sha1", "0" * 40)),
        ("own-write-post", with_body(b"<date_add><![CDATA[2", b"<date_add><![CDATA[9")),
        ("own-error-filter", with_body(b"line 1334", b"line 9")),
    ],
)
def test_what_differs_on_every_run_does_not_matter(
    identifier: str, change: Callable[[WireResponse], WireResponse]
) -> None:
    assert differences(OWN[identifier], change(same(OWN[identifier]))) == {}


@pytest.mark.parametrize(
    ("identifier", "change", "aspect"),
    [
        ("own-read-product", lambda got: replace(got, status=201), "status"),
        ("own-read-product", lambda got: replace(got, version="HTTP/1.0"), "status"),
        ("own-read-product", lambda got: replace(got, headers=got.headers[::-1]), "header"),
        ("own-read-product", lambda got: replace(got, headers=got.headers[1:]), "header"),
        ("own-read-product", with_header("PSWS-Version", "0"), "header"),
        ("own-read-product", lambda got: replace(got, framing="content-length"), "framing"),
        ("own-encoding-expect", lambda got: replace(got, interim=[]), "interim"),
        ("own-read-product", with_body(b"<reference>", b"<referenze>"), "body"),
        ("own-read-product", with_body(b"HP-CUP-01", b"HP-CUP-02"), "body"),
        ("own-read-product", with_body(b'notFilterable="true"', b'notFilterable="false"'), "body"),
        ("own-read-product", with_body(b"api/manufacturers/1", b"api/manufacturers/2"), "body"),
        ("own-read-product-json", with_body(b'"id":5', b'"id":"5"'), "body"),
        ("own-list-products", with_body(b'<product id="2"', b'<product id="9"'), "body"),
        ("own-auth-unknown", with_body(b"[20]", b"[19]"), "codes"),
        ("own-auth-unknown", with_body(b"not active", b"asleep"), "body"),
        ("own-error-bad-xml", with_body(b"[127]", b"[12]"), "codes"),
        ("own-image-get", lambda got: replace(got, body=b"GIF89a"), "body"),
        ("own-read-missing", lambda got: replace(got, body=b"x"), "body"),
        ("own-host-wrong", with_header("Location", "http://elsewhere/"), "header"),
    ],
)
def test_what_matters_is_noticed(identifier: str, change: Callable[[WireResponse], WireResponse], aspect: str) -> None:
    assert aspect in differences(OWN[identifier], change(same(OWN[identifier])))
