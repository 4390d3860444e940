"""The hostile requests, run through the pure part of both hops; a test end to end runs them over sockets."""

from __future__ import annotations

import re
from typing import cast

import pytest

from agent.body import tracker_for
from agent.errors import BY_NAME, MessageError
from agent.forward.pool import OriginPool
from agent.forward.target import StoreTable, StoreTarget
from agent.http1 import HeadBuffer, RequestHead, parse_request_head
from agent.php_query import without_parameter
from agent.policy import METHODS, Rule, judge, sent_content_type
from agent.rewrite import forwarded_fields, request_head
from agent.server.order import KnownFields
from agent.store_url import Store
from agent.target import gateway_target, store_target
from tests.kit.hostile import HOSTILE, STRIPPED, Hop, Hostile, Scene, Stripped

STORE = Store("http", "127.0.0.1", 8081, "/shop/")
SCENE = Scene(STORE)
RULE = Rule(STORE, frozenset(METHODS))
TABLE = StoreTable([StoreTarget(RULE, b"shop.example.com", cast(OriginPool, None))])


def outcome(hop: Hop, raw: bytes) -> tuple[str, bytes]:
    """The name of the error, or "" and the head that the store would get."""
    try:
        heads = HeadBuffer(response=False)
        raw_head = heads.feed(raw)
        assert raw_head is not None, "the head never ends"
        head = parse_request_head(raw_head)
        error, target = at_gateway(head) if hop == "gateway" else at_agent(head)
        if error:
            return error, b""
        tracker = tracker_for(head.framing, head.length)
        assert tracker.done or tracker.feed(heads.rest) == len(heads.rest), "bytes behind the request"
    except MessageError as broken:
        return broken.answer.name, b""
    return "", request_head(head, target, STORE.authority.encode(), forwarded_fields(head))


def at_gateway(head: RequestHead) -> tuple[str, bytes]:
    slug, rest = gateway_target(head.target)
    if slug != SCENE.slug.encode() or KnownFields().client_key(head, rest) != SCENE.client_key.encode():
        return "client_key_invalid", b""
    return judged(head, store_target(STORE, without_parameter(rest, b"ws_key")))


def at_agent(head: RequestHead) -> tuple[str, bytes]:
    found, target = TABLE.find(head.target)
    return ("policy_denied", b"") if found is None else judged(head, target)


def judged(head: RequestHead, target: bytes) -> tuple[str, bytes]:
    content_type = sent_content_type(head.method, head.get(b"content-type"))
    allowed = judge(RULE, head.method, target, content_type).allowed
    return ("" if allowed else "policy_denied"), target


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.id)
def test_a_hostile_request_is_refused_by_name(hostile: Hostile) -> None:
    assert outcome(hostile.hop, SCENE.fill(hostile.raw))[0] == hostile.error


@pytest.mark.parametrize("stripped", STRIPPED, ids=lambda stripped: stripped.id)
def test_what_is_hostile_in_a_good_request_is_left_out(stripped: Stripped) -> None:
    raw = SCENE.fill(stripped.raw)
    error, sent = outcome(stripped.hop, raw)
    assert error == ""
    sent += raw.partition(b"\r\n\r\n")[2]
    for absent in stripped.absent:
        assert SCENE.fill(absent).lower() in raw.lower()
        assert SCENE.fill(absent).lower() not in sent.lower()
    for present in stripped.present:
        assert SCENE.fill(present) in sent


@pytest.mark.parametrize("hop", ["gateway", "agent"])
def test_the_same_requests_without_what_is_hostile_pass(hop: Hop) -> None:
    """So that nothing is refused for the wrong reason."""
    start = b"/lyon/" if hop == "gateway" else b"http://127.0.0.1:8081/shop/"
    fields = b" HTTP/1.1\r\nHost: x\r\nAuthorization: Basic @CREDENTIAL@\r\n"
    for line in (b"GET " + start + b"api/products", b"POST " + start + b"api/images/products/1/2?ps_method=PUT"):
        assert outcome(hop, SCENE.fill(line + fields + b"\r\n"))[0] == ""
    chunked = (
        b"POST " + start + b"api/products" + fields + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n"
    )
    assert outcome(hop, SCENE.fill(chunked))[0] == ""


def test_the_corpus() -> None:
    ids = [hostile.id for hostile in HOSTILE] + [stripped.id for stripped in STRIPPED]
    assert len(set(ids)) == len(ids)
    assert len({(case.hop, case.raw) for case in HOSTILE}) == len(HOSTILE)
    assert {case.error for case in HOSTILE} <= {*BY_NAME, "closed"}
    assert sum(not case.cut for case in HOSTILE) >= 100
    for raw in [hostile.raw for hostile in HOSTILE] + [stripped.raw for stripped in STRIPPED]:
        assert not re.search(rb"@[A-Z]{3,}@", SCENE.fill(raw)), raw
