"""The heads that are sent on: what is rebuilt, what is removed, and that all the rest stays as it came."""

from __future__ import annotations

import pytest

from agent.errors import CONTRACT, ExchangeError, PolicyDenied, StoreTimeout
from agent.http1 import ResponseHead, parse_request_head, parse_response_head
from agent.rewrite import (
    FORWARDED_FIELDS,
    agent_error_name,
    error_response,
    forwarded_fields,
    is_extra_field_allowed,
    request_head,
    response_from_store,
    response_to_client,
)
from agent.trace_context import TRACE_FIELDS

NONCE = b"0123456789abcdef0123456789abcdef"
OURS = b"X-Request-Id: rid-12345\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n\r\n"


# What a PrestaShop behind nginx answers, with everything that must survive: order, case, blanks, doubles.
PLAIN = (
    b"HTTP/1.1 200 \r\nServer:nginx\r\ndate:  Mon, 01 Jan 2024 00:00:00 GMT\r\nPSWS-Version: 8.2.4\r\n"
    b"Execution-Time: 0.01\r\nVary: Accept-Encoding\r\nVARY:  Cookie \r\nContent-Type: text/xml;charset=utf-8\r\n"
    b'X-Empty:\r\nWWW-Authenticate: Basic realm="x"\r\nLocation: /elsewhere\r\nTransfer-Encoding: chunked\r\n'
    b"Content-Sha1: 0\r\nX-Connection: close\r\n\r\n"
)


def answer(fields: bytes, *, line: bytes = b"HTTP/1.1 200 OK") -> ResponseHead:
    return parse_response_head(line + b"\r\n" + fields + b"Content-Length: 0\r\n\r\n", to_head=False)


def to_client(head: ResponseHead, *, by_agent: bool = False, close: bool = False, dechunked: bool = False) -> bytes:
    return response_to_client(head, b"rid-12345", by_agent=by_agent, close=close, dechunked=dechunked)


# -- requests --------------------------------------------------------------------------------------------------------


def sent(fields: bytes, *, method: bytes = b"GET", extra: frozenset[bytes] = frozenset()) -> bytes:
    head = parse_request_head(method + b" /x HTTP/1.1\r\nHost: gateway\r\n" + fields + b"\r\n")
    return request_head(head, b"/shop/api/x", b"shop.example", forwarded_fields(head, extra=extra))


def test_a_request_head_is_rebuilt_in_origin_form() -> None:
    fields = b"user-agent: PrestaShop lib/1.0\r\nACCEPT:text/xml\r\nIo-Format:  JSON \r\nContent-Length: 3\r\n"
    assert sent(fields, method=b"PUT") == (
        b"PUT /shop/api/x HTTP/1.1\r\nHost: shop.example\r\n"
        b"user-agent: PrestaShop lib/1.0\r\nACCEPT: text/xml\r\nIo-Format: JSON\r\nContent-Length: 3\r\n\r\n"
    )


@pytest.mark.parametrize("name", sorted(FORWARDED_FIELDS - {b"content-length", b"transfer-encoding"} - TRACE_FIELDS))
def test_every_field_of_the_allow_list_passes(name: bytes) -> None:
    line = name.title() + b": text/xml\r\n"
    assert line in sent(line, method=b"POST")


REFUSED_FIELDS = [
    *b"Cookie Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Real-IP Referer Origin Connection".split(),
    *b"Keep-Alive TE Trailer Upgrade Proxy-Connection Proxy-Authorization X-HTTP-Method-Override X-HTTP-Method".split(),
    *b"X-Original-URL X-Rewrite-URL Via X-Tunnel-Nonce Proxy-Status Proxy Content_Length X_Forwarded_For".split(),
    *b"Sec-Fetch Content-Length_ User_Agent Authorization~ php-auth-user".split(),
]


@pytest.mark.parametrize("name", REFUSED_FIELDS, ids=bytes.decode)
def test_no_other_field_reaches_the_store(name: bytes) -> None:
    for spelled in (name, name.upper(), name.lower(), name.swapcase()):
        assert sent(spelled + b": POISON\r\n") == sent(b"")


def test_the_callers_host_never_reaches_the_store() -> None:
    assert b"gateway" not in sent(b"")


def test_extra_fields_pass_by_their_lower_case_name() -> None:
    extra = frozenset({b"x-shop-token"})
    assert b"X-Shop-TOKEN: 1\r\n" in sent(b"X-Shop-TOKEN: 1\r\nX-Other: 2\r\n", extra=extra)
    assert b"X-Other" not in sent(b"X-Shop-TOKEN: 1\r\nX-Other: 2\r\n", extra=extra)


@pytest.mark.parametrize("name", [b"X-Shop-Token", b"CF-Access-Client-Id", b"x1"])
def test_harmless_extra_fields_may_be_configured(name: bytes) -> None:
    assert is_extra_field_allowed(name)


@pytest.mark.parametrize(
    "name",
    [
        *b"Host Cookie Connection Content-Length Transfer-Encoding Expect Upgrade Forwarded X-Forwarded-For".split(),
        *b"Authorization Proxy-Authorization TE X_Y X-HTTP-Method-Override Sec-Fetch-Mode Keep-Alive".split(),
        *(b"", b"a b", b"a:", b"a\r\nb", b"\xe9"),
    ],
)
def test_extra_fields_that_change_meaning_may_not(name: bytes) -> None:
    assert not is_extra_field_allowed(name)
    assert not is_extra_field_allowed(name.upper())


@pytest.mark.parametrize("given", [b"application/x-www-form-urlencoded", b"Application/XML; q", b"text/plain", b""])
def test_a_posts_type_becomes_xml(given: bytes) -> None:
    rebuilt = sent(b"Content-Type: " + given + b"\r\n", method=b"POST")
    assert rebuilt.count(b"Content-Type: text/xml\r\n") == 1
    assert b"urlencoded" not in rebuilt


def test_a_second_content_type_is_dropped() -> None:
    both = b"content-type: multipart/form-data; boundary=x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    assert sent(both, method=b"POST").lower().count(b"content-type") == 1
    assert b"urlencoded" not in sent(both, method=b"POST")


# -- responses -------------------------------------------------------------------------------------------------------


def test_a_head_without_anything_to_remove_stays_byte_for_byte() -> None:
    head = parse_response_head(PLAIN, to_head=False)
    assert response_from_store(head) == PLAIN
    assert to_client(head) == PLAIN[:-2] + OURS
    assert to_client(head, close=True) == PLAIN[:-2] + OURS.replace(b"X-Content-T", b"Connection: close\r\nX-Content-T")


REMOVED_BY_BOTH = (
    b"Connection Keep-Alive Proxy-Connection TE Upgrade Set-Cookie Set-Cookie2 Proxy-Status X-Request-Id X-Tunnel-Nonce"
).split()


@pytest.mark.parametrize("name", REMOVED_BY_BOTH, ids=bytes.decode)
@pytest.mark.parametrize("spell", [bytes.title, bytes.upper, bytes.lower, bytes.swapcase])
def test_removed_fields_go_in_every_spelling_and_number(name: bytes, spell: object) -> None:
    spelled = spell(name)  # type: ignore[operator]  # one of the methods above
    raw = b"A: 1\r\n" + spelled + b": x\r\n" + spelled + b":\r\nB: 2\r\n" + spelled + b":\t y \r\n"
    head = answer(raw)
    assert response_from_store(head) == b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nContent-Length: 0\r\n\r\n"
    assert to_client(head) == b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nContent-Length: 0\r\n" + OURS


def test_names_that_only_look_alike_stay() -> None:
    raw = b"X-Set-Cookie: 1\r\nSet-Cookies: 2\r\nX: Set-Cookie: 3\r\nConnectionX: close\r\n"
    assert raw in response_from_store(answer(raw))


@pytest.mark.parametrize("name", [b"x-content-type-options", b"Content-Security-Policy"])
def test_the_gateway_puts_its_own_in_place_of_the_stores(name: bytes) -> None:
    head = answer(name + b": unsafe-everything\r\n")
    assert b"unsafe-everything" in response_from_store(head)
    assert to_client(head) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + OURS


def test_fields_that_connection_names_go() -> None:
    head = answer(b"connection: X-Hop, close, x-other\r\nx-hop: 1\r\nX-HOP2: 2\r\nX-Other:3\r\n")
    assert response_from_store(head) == b"HTTP/1.1 200 OK\r\nX-HOP2: 2\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("name", [b"Content-Length", b"Transfer-Encoding", b"content-type"])
def test_framing_cannot_be_named_away(name: bytes) -> None:
    framing = b"Transfer-Encoding: chunked\r\n" if name[:1] == b"T" else b"Content-Length: 5\r\n"
    raw = b"HTTP/1.1 200 OK\r\nConnection: " + name + b"\r\nContent-Type: text/xml\r\n" + framing + b"\r\n"
    head = parse_response_head(raw, to_head=False)
    for passed in (response_from_store(head), to_client(head)):
        assert framing in passed
        assert b"Content-Type: text/xml\r\n" in passed
        assert parse_response_head(passed, to_head=False).framing is head.framing


@pytest.mark.parametrize("option", [b".*", b"[", b"(", b"a|b", b"\\", b"x:y", b"content-length:5", b'"', b""])
def test_connection_options_are_no_patterns(option: bytes) -> None:
    head = answer(b"Connection: " + option + b", zz\r\na: 1\r\nb: 2\r\nzz: 3\r\n")
    assert response_from_store(head) == b"HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\nContent-Length: 0\r\n\r\n"


def test_the_last_answer_of_a_channel_says_so() -> None:
    head = answer(b"Connection: keep-alive\r\n")
    assert response_from_store(head, last=True) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    assert b"close" not in to_client(parse_response_head(response_from_store(head, last=True), to_head=False))


def test_without_chunks_the_coding_goes() -> None:
    raw = b"HTTP/1.1 200 OK\r\nA: 1\r\ntransfer-encoding: chunked\r\n\r\n"
    assert to_client(parse_response_head(raw, to_head=False), dechunked=True) == b"HTTP/1.1 200 OK\r\nA: 1\r\n" + OURS


# -- who answered ----------------------------------------------------------------------------------------------------


def of_agent(error: ExchangeError, nonce: bytes = NONCE) -> ResponseHead:
    raw = error_response(error, proxy="prestashop-agent", as_json=False, to_head=False, nonce=nonce)
    return parse_response_head(raw[: raw.index(b"\r\n\r\n") + 4], to_head=False)


@pytest.mark.parametrize("error", CONTRACT, ids=lambda error: error.name)
def test_the_agents_errors_are_known_by_the_nonce(error: type[ExchangeError]) -> None:
    head = of_agent(error())
    assert agent_error_name(head, NONCE) == error.name
    passed = to_client(head, by_agent=True)
    assert b"Proxy-Status: prestashop-agent; error=" in passed
    assert NONCE not in passed


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b"X-Tunnel-Nonce: ffffffffffffffffffffffffffffffff store_timeout\r\n",
        b"X-Tunnel-Nonce: " + NONCE[:-1] + b" store_timeout\r\n",
        b"X-Tunnel-Nonce: " + NONCE + b"0 store_timeout\r\n",
        b"X-Tunnel-Nonce: " + NONCE + b"\r\n",
        b"X-Tunnel-Nonce: " + NONCE + b" no_such_name\r\n",
        b"X: X-Tunnel-Nonce: " + NONCE + b" store_timeout\r\n",
    ],
)
def test_a_wrong_nonce_is_not_believed(field: bytes) -> None:
    forged = answer(b'Proxy-Status: prestashop-agent; error=x; details="store_timeout"\r\n' + field)
    assert agent_error_name(forged, NONCE) is None
    assert b"Proxy-Status" not in to_client(forged)


def test_without_a_nonce_nobody_is_believed() -> None:
    assert agent_error_name(of_agent(StoreTimeout(), b""), b"") is None
    assert agent_error_name(answer(b"X-Tunnel-Nonce:  store_timeout\r\n"), b"") is None


def test_the_agent_removes_a_guessed_nonce_and_a_forged_status() -> None:
    forged = answer(
        b'proxy-status: prestashop-agent; details="tunnel_lost"\r\nX-TUNNEL-NONCE: ' + NONCE + b" tunnel_lost\r\n"
        b"x-request-id: forged\r\nContent-Type: text/xml\r\n"
    )
    passed = response_from_store(forged)
    assert passed == b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 0\r\n\r\n"
    assert agent_error_name(parse_response_head(passed, to_head=False), NONCE) is None


def test_an_agents_answer_may_hold_no_more_than_its_status() -> None:
    raw = b"Set-Cookie: a=b\r\nProxy-Status: prestashop-agent\r\nUpgrade: h2c\r\nX-Request-Id: forged\r\n"
    assert to_client(answer(raw), by_agent=True) == (
        b"HTTP/1.1 200 OK\r\nProxy-Status: prestashop-agent\r\nContent-Length: 0\r\n" + OURS
    )


def test_an_agents_closing_error_says_so_to_the_gateway_alone() -> None:
    raw = error_response(PolicyDenied(), proxy="p", as_json=False, to_head=True, nonce=NONCE, close=True)
    head = parse_response_head(raw, to_head=False)
    assert not head.keep_alive
    assert b"close" not in to_client(head, by_agent=True)
