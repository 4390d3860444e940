"""What is kept of a client's head for its next one: used for equal lines only, and never much."""

from __future__ import annotations

import base64

import pytest

from agent.http1 import parse_request_head
from agent.request_heads import RequestHeads
from agent.server.order import KnownFields, take_order
from agent.store_url import parse_store
from tests.unit.server_plane.test_order import BASIC, KEY, NOW, route, table_of


@pytest.mark.parametrize("fields", [b"xx:\r\n" * 100, b"Accept: " + b"x" * 5000 + b"\r\n"])
def test_large_heads_are_not_kept_for_the_next_one(fields: bytes) -> None:
    known = KnownFields()
    table = table_of(route())
    for lines in (BASIC, BASIC + fields, fields, BASIC):
        raw = b"GET /lyon/api/products HTTP/1.1\r\nX-Request-Id: 12345678\r\nHost: gw\r\n" + lines + b"\r\n"
        made = take_order(parse_request_head(raw), table, NOW, known)
        alone = take_order(parse_request_head(raw), table, NOW)
        assert (made.sent_head, type(made.error)) == (alone.sent_head, type(alone.error))
        assert (known._fields is None) == (fields in lines)
        assert len(known._forwarded) < 1000


def test_what_is_known_of_the_head_before_is_used_for_equal_lines_only() -> None:
    other_store = parse_store("https://other.example/")
    table = table_of(route(), route("other", store=other_store, headers=(("Accept", "none"),)))
    heads, known = RequestHeads(), KnownFields()
    lines = BASIC + b"Accept: */*\r\nContent-Type: text/plain\r\n"
    for method, slug, fields in (
        (b"GET", b"lyon", lines), (b"POST", b"lyon", lines), (b"GET", b"other", lines), (b"GET", b"lyon", lines),
        (b"GET", b"lyon", b"Accept: text/xml\r\n" + BASIC), (b"GET", b"lyon", b"Accept: text/xml\r\n"),
        (b"GET", b"lyon", b"Authorization: Bearer wrong\r\n"), (b"GET", b"lyon", lines),
    ):  # a list to be scanned  # fmt: skip
        raw = method + b" /" + slug + b"/api/products HTTP/1.1\r\nX-Request-Id: 12345678\r\nHost: gw\r\n" + fields
        head = heads.feed(raw + b"\r\n")
        assert head is not None
        made, alone = take_order(head, table, NOW, known), take_order(parse_request_head(raw + b"\r\n"), table, NOW)
        assert (made.sent_head, type(made.error)) == (alone.sent_head, type(alone.error))
        assert (made.error is None) == (KEY.encode() in base64.b64decode(fields.partition(b"Basic ")[2][:44] + b"=="))
