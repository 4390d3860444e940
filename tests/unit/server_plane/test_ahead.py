"""What a client has sent before its turn."""

from __future__ import annotations

import time

import pytest

from agent.server.ahead import Ahead


@pytest.mark.parametrize(
    ("queued", "head"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\nrest", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r", b"GET / HTTP/1.1\r\nHost: a\r\n\r"),
        (b"\r\n\r\n", b"\r\n\r\n"),
    ],
)
def test_heads_come_out_one_by_one(queued: bytes, head: bytes) -> None:
    ahead = Ahead()
    ahead.add(queued)
    assert ahead.take_head() == head
    assert ahead.take_piece() == queued[len(head) :]
    assert len(ahead) == 0


def test_pieces_and_what_is_put_back() -> None:
    ahead = Ahead()
    seen = []
    for data in (b"x" * 65_536, b"yz"):
        ahead.add(data)
        seen.append(ahead.is_much)
    assert seen == [False, True]
    piece = ahead.take_piece()
    assert piece == b"x" * 65_536
    ahead.put_back(b"back")
    assert ahead.take_piece() == b"backyz"
    ahead.add(b"more")
    ahead.clear()
    assert len(ahead) == 0


def test_many_requests_cost_what_they_are_and_not_what_waits_behind_them() -> None:
    """8 MB in heads of 27 bytes: copying what is left for each would be more than a terabyte."""
    ahead = Ahead()
    head = b"GET /x HTTP/1.1\r\nHost:\r\n\r\n"
    ahead.add(head * 300_000)
    began = time.process_time()
    count = 0
    while len(ahead):
        assert ahead.take_head() == head
        count += 1
    assert count == 300_000
    assert time.process_time() - began < 20
