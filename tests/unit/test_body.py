"""Where a body ends, however it is cut on its way; and which chunked bodies are refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.body import BodyTracker, ChunkedBody, EofBody, LengthBody, NoBody, tracker_for
from agent.errors import BadRequest, MessageError, StoreBadResponse
from agent.http1 import Framing
from tests.kit.llhttp import read_response

CHUNKED = b'5;a=b;c="x y"\r\nhello\r\n01;q\r\n!\r\nA\r\n0123456789\r\n000;last\r\n\r\n'
SURPLUS = b"GET / HTTP/1.1\r\n"


def follow(body: BodyTracker, raw: bytes, cuts: list[int]) -> int | type[Exception]:
    """The offset behind the body's last byte, or the error that it becomes; -1 when it goes on."""
    start = 0
    for end in [*cuts, len(raw)]:
        try:
            taken = body.feed(raw[start:end])
        except MessageError as error:
            assert error.answer is not None
            return error.answer
        if body.done:
            return start + taken
        assert taken == end - start
        start = end
    return -1


def test_a_chunked_body_ends_at_the_same_byte_wherever_it_is_cut() -> None:
    raw = CHUNKED + SURPLUS
    for first in range(1, len(raw)):
        assert follow(ChunkedBody(), raw, [first]) == len(CHUNKED)
        assert follow(ChunkedBody(), raw, [first, min(first + 1, len(raw))]) == len(CHUNKED)
    assert follow(ChunkedBody(), raw, list(range(1, len(raw)))) == len(CHUNKED)
    assert follow(ChunkedBody(), CHUNKED[:-1], []) == -1


def test_feeding_from_an_offset_follows_the_rest_only() -> None:
    body = ChunkedBody()
    assert body.feed(b"junk" + CHUNKED + SURPLUS, 4) == 4 + len(CHUNKED)
    assert body.done


def test_the_payload_is_collected_without_the_framing() -> None:
    for step in (1, 3, 1000):
        payload: list[bytes] = []
        body = ChunkedBody(payload=payload)
        for start in range(0, len(CHUNKED), step):
            body.feed(CHUNKED[start : start + step])
        assert body.done
        assert b"".join(payload) == b"hello!0123456789"


HOSTILE = {
    "no size": b"\r\n",
    "not hexadecimal": b"5g\r\nhello\r\n0\r\n\r\n",
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-1\r\n\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"1_0\r\n0123456789012345\r\n0\r\n\r\n",
    "leading blank": b" 5\r\nhello\r\n0\r\n\r\n",
    "trailing blank": b"5 \r\nhello\r\n0\r\n\r\n",
    "16 digits": b"0000000000000005\r\nhello\r\n0\r\n\r\n",
    "overflow to a small number": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "line feed only": b"5\nhello\r\n0\r\n\r\n",
    "line feed only after the chunk": b"5\r\nhello\n0\r\n\r\n",
    "line feed only after the last": b"5\r\nhello\r\n0\n\r\n",
    "line feed only at the end": b"0\r\n\n",
    "no CRLF after the chunk": b"5\r\nhello0\r\n\r\n",
    "chunk longer than said": b"5\r\nhello!\r\n0\r\n\r\n",
    "bare CR in the size line": b"5\rx\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a\0\r\nhello\r\n0\r\n\r\n",
    "CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "blank before an extension": b"5 ;a\r\nhello\r\n0\r\n\r\n",
    "blank in an extension": b"5;a b\r\nhello\r\n0\r\n\r\n",
    "open quote": b'5;a="b\r\nhello\r\n0\r\n\r\n',
    "empty extension": b"5;\r\nhello\r\n0\r\n\r\n",
    "byte over 127 in an extension": b"5;\xff\r\nhello\r\n0\r\n\r\n",
    "extension without a semicolon": b"5 a\r\nhello\r\n0\r\n\r\n",
    "long extension": b"5;" + b"a" * 300 + b"\r\nhello\r\n0\r\n\r\n",
    "trailer": b"0\r\nX-Trailer: 1\r\n\r\n",
    "trailer that frames": b"0\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_chunked_body_is_refused_wherever_it_is_cut(case: str) -> None:
    raw = HOSTILE[case]
    for answer in (BadRequest, StoreBadResponse):
        assert follow(ChunkedBody(answer), raw, []) is answer
    for first in range(1, len(raw)):
        assert follow(ChunkedBody(), raw, [first]) is BadRequest


@pytest.mark.parametrize(("size", "taken"), [(256, True), (257, False)])
def test_a_size_line_has_256_bytes_at_most(size: int, taken: bool) -> None:
    line = b"0;" + b"a" * (size - 4) + b"\r\n"
    assert len(line) == size
    raw = line + b"\r\n"
    expected = len(raw) if taken else BadRequest
    for first in (1, 200, 255, size):
        assert follow(ChunkedBody(), raw, [first]) == expected


def test_an_endless_size_line_is_refused_while_it_comes() -> None:
    body = ChunkedBody()
    body.feed(b"0" * 200)
    with pytest.raises(MessageError):
        body.feed(b"0" * 100)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.data())
def test_what_is_followed_is_what_llhttp_reads(pieces: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=4)))
    payload: list[bytes] = []
    assert follow(ChunkedBody(payload=payload), raw + SURPLUS, cuts) == len(raw)
    reading = read_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + raw)
    assert reading is not None
    assert reading.complete
    assert reading.body == b"".join(payload) == b"".join(pieces)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_chunked_body_is_refused_or_read_as_llhttp_does(data: st.DataObject) -> None:
    raw = bytearray(CHUNKED)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b";", b"0", b"f", b"-", b"\0", b""])
        )
    payload: list[bytes] = []
    end = follow(ChunkedBody(payload=payload), bytes(raw), [])
    if not isinstance(end, int):
        return
    taken = bytes(raw[: end if end >= 0 else None])
    reading = read_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + taken)
    if end < 0:
        assert reading is None or not reading.complete
        return
    assert reading is not None, "llhttp refuses what we take"
    assert reading.complete
    assert reading.body == b"".join(payload)


def test_a_length_is_counted_down() -> None:
    for first in range(11):
        assert follow(LengthBody(10), b"0123456789" + SURPLUS, [first]) == 10
    assert follow(LengthBody(10), b"012345678", [3]) == -1
    assert LengthBody(3).feed(b"xxabcyy", 2) == 5


def test_no_body_takes_no_byte_and_until_eof_takes_all() -> None:
    assert NoBody().done
    assert NoBody().feed(b"abc") == 0
    assert NoBody().feed(b"abc", 2) == 2
    until_eof = EofBody()
    assert until_eof.feed(b"abc") == 3
    assert not until_eof.done


def test_each_framing_has_its_tracker() -> None:
    made = {framing: type(tracker_for(framing, 3)) for framing in Framing}
    assert made == {
        Framing.NONE: NoBody,
        Framing.LENGTH: LengthBody,
        Framing.CHUNKED: ChunkedBody,
        Framing.UNTIL_EOF: EofBody,
    }
