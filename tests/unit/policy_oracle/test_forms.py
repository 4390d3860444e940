"""Forms, cookies and content types: what the agent sends on means to PHP what was judged."""

from __future__ import annotations

import random

import pytest

from agent import policy
from agent.http1 import parse_request_head
from agent.policy import Decision, Rule, judge, sent_content_type
from agent.rewrite import forwarded_fields, request_head
from tests.kit.tools import require_tool
from tests.unit.policy_oracle import nasty
from tests.unit.policy_oracle.faults import SEED, fault, fault_of_place
from tests.unit.policy_oracle.php import Meaning, PhpServer
from tests.unit.policy_oracle.webserver import rewritten_query

UPLOADS = 2_000
WRITES = {b"POST", b"PUT", b"DELETE"}
ORDINARY = Rule(nasty.STORES[0], frozenset(policy.METHODS))


@pytest.fixture(scope="module")
def php() -> str:
    return require_tool("php", "php-cli")


TYPES = (
    b"application/x-www-form-urlencoded",
    b"Application/X-WWW-Form-Urlencoded; charset=utf-8",
    b"application/x-www-form-urlencoded;multipart",
    b"text/xml, application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=BOUNDARY",
    b"MULTIPART/Form-Data; boundary=BOUNDARY",
    b'multipart/form-data;boundary="BOUNDARY"',
    b"multipart/form-data, text/xml; boundary=BOUNDARY",
    b"text/xml",
    b"application/xml",
    None,
)  # a table to be compared by eye  # fmt: skip


def upload(rng: random.Random) -> tuple[Rule, bytes]:
    """A rule and a raw request of a client, with a form body and a cookie that both try to override."""
    rule = nasty.rule(rng)
    if rng.random() < 0.5:
        rule = Rule(rule.store, frozenset(policy.METHODS), rule.resources)
    content_type = rng.choice(TYPES)
    fields = [
        (nasty.spelling(rng, rng.choice(nasty.MEANINGFUL)), rng.choice((b"DELETE", b"PUT", b"customers", b"3")))
        for _ in range(rng.randint(1, 3))
    ]
    if content_type is not None and b"multipart" in content_type.lower():
        body = b"".join(
            b'--BOUNDARY\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n' + value + b"\r\n"
            for name, value in fields
        )
        body += b"--BOUNDARY--\r\n"
    else:
        body = b"&".join(name + b"=" + value for name, value in fields)
    method = rng.choice((b"POST", b"POST", b"POST", b"PUT", b"GET"))
    path = rng.choice((b"products", b"products/1", b"images/products/1", b"images/products/1", b"images/products/1/2"))
    query = b"id_shop=" + rule.store.id_shop.encode() if rule.store.id_shop else b""
    if method == b"POST" and rng.random() < 0.3:
        query += b"&ps_method=PUT"
    typed = b"" if content_type is None else b"Content-Type: " + content_type + b"\r\n"
    return rule, (
        method + b" " + rule.store.shop_path.encode() + b"api/" + path + (b"?" + query if query else b"")
        + b" HTTP/1.1\r\nHost: gateway\r\nCookie: ps_method=DELETE; url=customers; id_shop=3\r\n" + typed
        + b"Content-Length: %d\r\n\r\n" % len(body) + body
    )  # a table to be compared by eye  # fmt: skip


def sent_to(server: PhpServer, rule: Rule, request: bytes) -> tuple[Decision, Meaning] | None:
    """What the agent would send for this request, read by PHP; None when it is refused."""
    raw_head, _, body = request.partition(b"\r\n\r\n")
    head = parse_request_head(raw_head + b"\r\n\r\n")
    decision = judge(rule, head.method, head.target, sent_content_type(head.method, head.get(b"content-type")))
    if not decision.allowed:
        return None
    query = rewritten_query(rule.store, head.target)
    assert query is not None
    sent = request_head(head, b"/webservice/dispatcher.php?" + query, b"127.0.0.1", forwarded_fields(head))
    return decision, server.read_request(sent + body)


def fault_of_upload(rule: Rule, decision: Decision, meaning: Meaning) -> str | None:
    if not meaning.form_fields:
        return fault(rule, decision, meaning)
    # A multipart body was let through: it may choose among methods that are all open, on images.
    if decision.resource != "images":
        return "a form outside of images"
    if meaning.method in WRITES and meaning.method.decode() not in rule.methods:
        return f"method {meaning.method!r} is not open"
    if not rule.store.id_shop:
        meaning = Meaning(meaning.method, meaning.resource, meaning.group, None, 0)  # see MULTIPART_METHODS
    return fault_of_place(rule, decision, meaning)


def test_forms_and_cookies_override_nothing_that_was_judged(php: str) -> None:
    print(f"POLICY_ORACLE_SEED={SEED}")
    rng = random.Random(SEED)
    forms = passed = 0
    with PhpServer(php) as server:
        for _ in range(UPLOADS):
            rule, request = upload(rng)
            answered = sent_to(server, rule, request)
            if answered is None:
                continue
            passed += 1
            forms += answered[1].form_fields > 0
            wrong = fault_of_upload(rule, *answered)
            assert wrong is None, f"seed {SEED}: {wrong}: {request!r}"
    assert passed > UPLOADS // 8
    assert forms > UPLOADS // 100  # multipart uploads were among them, and PHP did read them


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"application/x-www-form-urlencoded", b"ps%5Fmethod%00=DELETE"),
        (
            b"Multipart/form-data; boundary=B",
            b'--B\r\nContent-Disposition: form-data; name="ps.method"\r\n\r\nDELETE\r\n--B--\r\n',
        ),
    ],
)  # a table to be compared by eye  # fmt: skip
def test_php_obeys_a_form_that_comes_to_it_unchanged(php: str, content_type: bytes, body: bytes) -> None:
    """So the two tests around this one look for something that really happens."""
    with PhpServer(php) as server:
        meaning = server.read_request(
            b"POST /x?url=products HTTP/1.1\r\nHost: x\r\nContent-Type: " + content_type
            + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )  # a table to be compared by eye  # fmt: skip
    assert meaning.method == b"DELETE"
    assert not judge(ORDINARY, b"POST", b"/api/products", content_type).allowed


def test_php_obeys_a_cookie_that_comes_to_it(php: str) -> None:
    with PhpServer(php) as server:
        meaning = server.read_request(
            b"GET /x?url=products HTTP/1.1\r\nHost: x\r\nCookie: a=b; ps_method=DELETE\r\n\r\n"
        )
        assert meaning.method == b"DELETE"
        answered = sent_to(
            server, ORDINARY, b"GET /api/products HTTP/1.1\r\nHost: x\r\nCookie: a=b; ps_method=DELETE\r\n\r\n"
        )
    assert answered is not None
    assert answered[1].method == b"GET"


def test_an_upload_needs_all_the_rights_that_its_form_could_use(php: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer than POST, PUT and DELETE a form field would do what is not open: the oracle sees that, too."""
    rule = Rule(nasty.STORES[0], frozenset({"POST", "PUT"}))
    body = b'--B\r\nContent-Disposition: form-data; name="ps_method"\r\n\r\nDELETE\r\n--B--\r\n'
    request = (
        b"POST /api/images/products/1/2 HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )  # a table to be compared by eye  # fmt: skip
    with PhpServer(php) as server:
        assert sent_to(server, rule, request) is None
        monkeypatch.setattr(policy, "MULTIPART_METHODS", frozenset({"POST", "PUT"}))
        answered = sent_to(server, rule, request)
        assert answered is not None
        assert fault_of_upload(rule, *answered) == "method b'DELETE' is not open"
