"""Reading one answer: interim ones, its end in every framing, what is not HTTP, and any way of cutting it."""

from __future__ import annotations

import pytest

from agent.errors import MessageError, StoreBadResponse
from agent.http1 import HEAD_MAX_BYTES, ResponseHead
from agent.response_reader import INTERIM_MAX, ResponseReader

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
NO_LENGTH = b"HTTP/1.1 200 OK\r\n\r\nhello"


def raw_of(head: ResponseHead) -> bytes:
    return head.raw


def reader(*, to_head: bool = False, dechunk: bool = False, interim: bool = True) -> ResponseReader:
    return ResponseReader(raw_of, to_head=to_head, rewrite_interim=raw_of if interim else None, dechunk=dechunk)


@pytest.mark.parametrize("raw", [LENGTH, CHUNKED, CONTINUE + LENGTH, CONTINUE + HINTS + CHUNKED])
def test_an_answer_passes_byte_for_byte_however_it_is_cut(raw: bytes) -> None:
    for cuts in [*([cut] for cut in range(1, len(raw))), list(range(1, len(raw)))]:
        one = reader()
        passed = b""
        start = 0
        for end in [*cuts, len(raw)]:
            assert not one.done
            passed += one.feed(raw[start:end])
            start = end
        assert passed == raw
        assert one.done
        assert not one.surplus
        assert one.head is not None
        assert one.head.status == 200


@pytest.mark.parametrize("raw", [LENGTH, CHUNKED])
def test_what_follows_an_answer_is_surplus_and_not_passed_on(raw: bytes) -> None:
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    for cut in range(1, len(raw + smuggled)):
        one = reader()
        assert one.feed((raw + smuggled)[:cut]) + one.feed((raw + smuggled)[cut:]) == raw
        assert (one.done, one.surplus) == (True, True)
    at_its_end = reader()
    assert at_its_end.feed(raw) == raw
    assert not at_its_end.surplus
    assert at_its_end.feed(smuggled) == b""
    assert at_its_end.surplus


@pytest.mark.parametrize("framing", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""])
@pytest.mark.parametrize(("status", "to_head"), [(b"200", True), (b"204", False), (b"304", False), (b"404", True)])
def test_answers_without_a_body_end_with_their_head(framing: bytes, status: bytes, to_head: bool) -> None:
    raw = b"HTTP/1.1 " + status + b" x\r\n" + framing + b"\r\n"
    one = reader(to_head=to_head)
    assert one.feed(raw) == raw
    assert (one.done, one.surplus) == (True, False)
    assert one.feed(b"hello") == b""
    assert one.surplus


def test_an_answer_without_a_length_is_whole_by_eof_only() -> None:
    one = reader()
    assert one.feed(NO_LENGTH) == NO_LENGTH
    assert one.feed(b"more") == b"more"
    assert not one.done
    assert one.eof()
    assert one.done


@pytest.mark.parametrize("raw", [b"", LENGTH[:10], LENGTH[:-1], CHUNKED[:-1], CHUNKED[:-7], CONTINUE])
def test_eof_makes_no_other_answer_whole(raw: bytes) -> None:
    one = reader()
    if raw:
        one.feed(raw)
    assert not one.eof()
    assert not one.done


def test_eof_behind_a_whole_answer_takes_nothing_back() -> None:
    one = reader()
    one.feed(LENGTH)
    assert one.eof()


def test_eight_interim_answers_pass_and_a_ninth_does_not() -> None:
    one = reader()
    assert one.feed(HINTS * INTERIM_MAX + LENGTH) == HINTS * INTERIM_MAX + LENGTH
    for pieces in ([HINTS * 9 + LENGTH], [HINTS] * 9):
        one = reader()
        with pytest.raises(MessageError, match="interim") as caught:
            for piece in pieces:
                one.feed(piece)
        assert caught.value.answer is StoreBadResponse


def test_interim_answers_are_kept_from_a_client_that_does_not_know_them() -> None:
    one = reader(interim=False)
    assert one.feed(CONTINUE) == b""
    assert one.feed(CONTINUE + LENGTH) == LENGTH


def test_switching_protocols_is_refused() -> None:
    with pytest.raises(MessageError, match="switched protocols") as caught:
        reader().feed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
    assert caught.value.answer is StoreBadResponse


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_chunks_are_taken_off_for_a_client_of_http_1_0(step: int) -> None:
    one = reader(dechunk=True)
    raw = CHUNKED.replace(b"0\r\n\r\n", b"3;x\r\n, w\r\n4\r\norld\r\n0\r\n\r\n")
    passed = b"".join(one.feed(raw[start : start + step]) for start in range(0, len(raw), step))
    assert passed.partition(b"\r\n\r\n")[2] == b"hello, world"
    assert one.done


def test_dechunking_leaves_other_framings_alone() -> None:
    one = reader(dechunk=True)
    assert one.feed(LENGTH) == LENGTH
    assert one.done


def test_an_http_1_0_answer_is_read() -> None:
    raw = b"HTTP/1.0 200 OK\r\n\r\nhello"
    one = reader()
    assert one.feed(raw) == raw
    assert one.eof()


BAD = {
    "TE and CL": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "differing CLs": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "garbage": b"<html>nginx says no</html>\r\n\r\n",
    "binary": bytes(range(256)),
    "head over 64 KiB": b"HTTP/1.1 200 OK\r\nX: " + b"v" * HEAD_MAX_BYTES,
    "interim with garbage": CONTINUE + b"garbage\r\n\r\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSet-Cookie: a=b\r\n\r\n",
}


@pytest.mark.parametrize("step", [1, 50, 1_000_000])
@pytest.mark.parametrize("case", BAD)
def test_what_is_not_http_is_the_stores_fault(case: str, step: int) -> None:
    raw = BAD[case]
    if step == 1 and len(raw) > 10_000:
        step = 1024
    one = reader()
    with pytest.raises(MessageError) as caught:
        for start in range(0, len(raw), step):
            one.feed(raw[start : start + step])
    assert caught.value.answer is StoreBadResponse
