"""Heads one after another are parsed as each alone would be, whatever was remembered of the one before."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import request_heads
from agent.errors import MessageError
from agent.http1 import RequestHead, parse_request_head
from agent.request_heads import REMEMBERED_MAX_BYTES, REMEMBERED_MAX_FIELDS, RequestHeads

LINES = (
    b"Host: a", b"Host:  b\t", b"Accept: */*", b"X-Request-Id: 1", b"X-Request-Id: 22", b"x-request-id: 3",
    b"X-Request-Id:", b"Content-Length: 0", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close",
    b"Authorization: Basic S0VZOg==", b" folded", b"no colon", b"Bad name: 1", b"X: \x01", b"X: \xff",
)  # fmt: skip
REQUESTS = (b"GET / HTTP/1.1", b"GET / HTTP/1.0", b"PUT /api/x?a=1 HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/2.0")
FIRST = b"GET /1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Request-Id: one\r\n\r\n"


def parsed(raw: bytes) -> RequestHead | str:
    try:
        return parse_request_head(raw)
    except MessageError as error:
        return error.detail


def fed(heads: RequestHeads, raw: bytes) -> RequestHead | str | None:
    try:
        return heads.feed(raw)
    except MessageError as error:
        return error.detail


heads_of_a_client = st.builds(
    lambda request, lines: b"\r\n".join((request, *lines, b"", b"")),
    st.sampled_from(REQUESTS),
    st.lists(st.sampled_from(LINES), max_size=4),
)


@given(st.lists(heads_of_a_client, min_size=2, max_size=6))
def test_each_is_parsed_as_if_it_were_alone(raws: list[bytes]) -> None:
    heads = RequestHeads()
    for raw in raws:
        assert fed(heads, raw) == parsed(raw)


def test_so_is_every_pair_that_differs_in_its_last_line() -> None:
    for request, middle in product(REQUESTS, ((), (b"Accept: */*",), (b"X-Request-Id: 0",))):
        for one, other in product(LINES, LINES):
            heads = RequestHeads()
            for last in (one, other, one):
                raw = b"\r\n".join((request, b"Host: a", *middle, last, b"", b""))
                assert fed(heads, raw) == parsed(raw)


def test_equal_lines_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = RequestHeads()
    first = heads.feed(FIRST)
    assert first is not None
    monkeypatch.setattr(request_heads, "parse_request_head", None)  # whoever calls it fails
    same = heads.feed(FIRST.replace(b"GET /1", b"HEAD /2"))
    assert same is not None
    assert (same.method, same.target) == (b"HEAD", b"/2")
    assert same.fields is first.fields
    other = heads.feed(FIRST.replace(b"one", b"two"))
    assert other is not None
    assert (other.get(b"x-request-id"), first.get(b"x-request-id")) == (b"two", b"one")
    assert other.fields == [*first.fields[:-1], (b"X-Request-Id", b"two")]


@pytest.mark.parametrize("line", [b"GET /" + b"x" * 9000 + b" HTTP/1.1", b"GET /1 HTTP/1.0 ", b"GET /1"])
def test_the_first_line_is_judged_each_time(line: bytes) -> None:
    heads = RequestHeads()
    heads.feed(FIRST)
    raw = FIRST.replace(b"GET /1 HTTP/1.1", line)
    said = fed(heads, raw)
    assert isinstance(said, str)
    assert said == parsed(raw)


@pytest.mark.parametrize(
    ("found", "put"),
    [
        (b"*/*", b"x" * REMEMBERED_MAX_BYTES),
        (b"one", b"x" * REMEMBERED_MAX_BYTES),
        (b"Accept", b"a:\r\n" * REMEMBERED_MAX_FIELDS + b"Accept"),
    ],
)
def test_little_is_remembered(found: bytes, put: bytes) -> None:
    heads = RequestHeads()
    for raw, remembers in ((FIRST, True), (FIRST.replace(found, put), False), (FIRST, True)):
        assert heads.feed(raw) == parse_request_head(raw)
        assert repr(heads) == f"<RequestHeads {'remembers' if remembers else 'empty'}>"


def test_it_is_true_while_a_head_has_begun() -> None:
    heads = RequestHeads()
    assert not heads
    assert heads.feed(FIRST[:20]) is None
    assert heads
    assert heads.feed(FIRST[20:] + b"rest") == parse_request_head(FIRST)
    assert (bool(heads), heads.take_rest(), heads.take_rest()) == (False, b"rest", b"")
