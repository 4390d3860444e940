"""Heads: what is taken, what is refused, and that no second parser can read something else into what was taken."""

from __future__ import annotations

import pytest

from agent.errors import BadRequest, ExchangeError, HeadTooLarge, MessageError, StoreBadResponse, TargetTooLong
from agent.http1 import (
    HEAD_MAX_BYTES,
    REQUEST_LINE_MAX_BYTES,
    HeadBuffer,
    connection_options,
    parse_request_head,
    parse_response_head,
)
from tests.kit.http1_heads import BAD_REQUESTS, BAD_RESPONSES, GOOD_REQUESTS, GOOD_RESPONSES, request, response


@pytest.mark.parametrize("case", GOOD_REQUESTS)
def test_a_good_request_head_is_read(case: str) -> None:
    raw, framing, length, keep_alive = GOOD_REQUESTS[case]
    head = parse_request_head(raw)
    assert (head.framing, head.length, head.keep_alive) == (framing, length, keep_alive)
    assert raw.startswith(head.method + b" " + head.target + b" HTTP/1.%d\r\n" % head.minor)


def test_fields_keep_order_case_and_inner_blanks() -> None:
    head = parse_request_head(request(b"X-b: 1  2 \r\nx-B:\t3\r\nEMPTY:\r\n"))
    assert head.fields == [(b"Host", b"gw"), (b"X-b", b"1  2"), (b"x-B", b"3"), (b"EMPTY", b"")]
    assert head.get(b"x-b") == b"1  2"
    assert head.get(b"absent") is None


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_request_head_is_refused(case: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse_request_head(BAD_REQUESTS[case])
    assert caught.value.answer is BadRequest


@pytest.mark.parametrize("case", GOOD_RESPONSES)
def test_a_good_response_head_is_read(case: str) -> None:
    raw, to_head, framing, length, keep_alive = GOOD_RESPONSES[case]
    head = parse_response_head(raw, to_head=to_head)
    assert (head.raw, head.framing, head.length, head.keep_alive) == (raw, framing, length, keep_alive)


@pytest.mark.parametrize("to_head", [False, True])
@pytest.mark.parametrize("case", BAD_RESPONSES)
def test_a_bad_response_head_is_refused(case: str, to_head: bool) -> None:
    with pytest.raises(MessageError) as caught:
        parse_response_head(BAD_RESPONSES[case], to_head=to_head)
    assert caught.value.answer is StoreBadResponse


def test_connection_options_are_read_in_lower_case() -> None:
    assert connection_options(b" Close ,,\tX-Foo,") == (b"close", b"x-foo")
    assert connection_options(b"") == ()


# -- collecting a head -----------------------------------------------------------------------------------------------


def outcome(raw: bytes, pieces: list[int], *, is_response: bool = False) -> tuple[object, bytes]:
    """The head (or the error it becomes) and what came behind it, for one way of cutting ``raw``."""
    buffer = HeadBuffer(response=is_response)
    start = 0
    for end in [*pieces, len(raw)]:
        try:
            head = buffer.feed(raw[start:end])
            if head is not None and not is_response:
                parse_request_head(head)
        except MessageError as error:
            return error.answer, b""
        if head is not None:
            return head, buffer.rest + raw[end:]
        start = end
    return None, b""


@pytest.mark.parametrize("is_response", [False, True])
def test_a_head_cut_at_every_offset_is_the_same_head(is_response: bool) -> None:
    raw = (response if is_response else request)(b"Content-Length: 4\r\nX: y\r\n") + b"\r\n\r\n"
    whole = outcome(raw, [], is_response=is_response)
    assert whole == (raw[:-4], b"\r\n\r\n")
    for first in range(1, len(raw)):
        assert outcome(raw, [first], is_response=is_response) == whole
    assert outcome(raw, list(range(1, len(raw))), is_response=is_response) == whole


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_head_cut_anywhere_is_refused_alike(case: str) -> None:
    raw = BAD_REQUESTS[case]
    for first in range(1, len(raw)):
        assert outcome(raw, [first]) == (BadRequest, b"")


def test_empty_lines_before_a_request_are_passed_over_however_they_are_cut() -> None:
    raw = b"\r\n\r\n" + request() + b"rest"
    for first in range(1, len(raw)):
        assert outcome(raw, [first]) == (request(), b"rest")
    assert outcome(raw, list(range(1, len(raw)))) == (request(), b"rest")
    assert not HeadBuffer(response=False)
    buffer = HeadBuffer(response=False)
    assert buffer.feed(b"\r\n") is None
    assert not buffer, "an empty line alone is not the beginning of a head"


def test_an_empty_line_before_a_response_is_refused() -> None:
    head, _ = outcome(b"\r\n" + response(), [], is_response=True)
    with pytest.raises(MessageError):
        parse_response_head(head, to_head=False)  # type: ignore[arg-type]  # a head is there: see the line above


@pytest.mark.parametrize("is_response", [False, True])
def test_a_bare_lf_is_refused_before_the_head_ends(is_response: bool) -> None:
    first_line = b"HTTP/1.1 200 OK\n" if is_response else b"GET /a HTTP/1.1\n"
    with pytest.raises(MessageError, match="bare LF") as caught:
        HeadBuffer(response=is_response).feed(first_line)
    assert caught.value.answer is (StoreBadResponse if is_response else BadRequest)
    buffer = HeadBuffer(response=is_response)
    assert buffer.feed(first_line[:-1]) is None
    with pytest.raises(MessageError, match="bare LF"):
        buffer.feed(b"\n")
    split_in_crlf = HeadBuffer(response=is_response)
    assert split_in_crlf.feed(first_line[:-1] + b"\r") is None
    assert split_in_crlf.feed(b"\n") is None


def line_of(size: int) -> bytes:
    return b"GET /" + b"a" * (size - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"


@pytest.mark.parametrize("step", [1000, 4096, 100_000])
def test_the_request_line_ends_at_8_kib(step: int) -> None:
    good = request(line=line_of(REQUEST_LINE_MAX_BYTES))
    assert outcome(good, list(range(step, len(good), step))) == (good, b"")
    over = request(line=line_of(REQUEST_LINE_MAX_BYTES + 1))
    assert outcome(over, list(range(step, len(over), step))) == (TargetTooLong, b"")


def test_an_endless_request_line_is_refused_while_it_comes() -> None:
    buffer = HeadBuffer(response=False)
    assert buffer.feed(line_of(20_000)[:REQUEST_LINE_MAX_BYTES]) is None
    with pytest.raises(MessageError) as caught:
        buffer.feed(b"aaa")
    assert caught.value.answer is TargetTooLong


def head_of(size: int, *, is_response: bool = False) -> bytes:
    make = response if is_response else request
    return make(b"X: " + b"v" * (size - len(make(b"X: \r\n"))) + b"\r\n")


@pytest.mark.parametrize("step", [1, 997, 65_535, 1_000_000])
@pytest.mark.parametrize("is_response", [False, True])
def test_a_head_ends_at_64_kib(step: int, is_response: bool) -> None:
    if step == 1:
        step = HEAD_MAX_BYTES - 1
    good = head_of(HEAD_MAX_BYTES, is_response=is_response)
    assert len(good) == HEAD_MAX_BYTES
    assert outcome(good + b"rest", list(range(step, len(good), step)), is_response=is_response) == (good, b"rest")
    over = head_of(HEAD_MAX_BYTES + 1, is_response=is_response)
    expected: type[ExchangeError] = StoreBadResponse if is_response else HeadTooLarge
    assert outcome(over, list(range(step, len(over), step)), is_response=is_response) == (expected, b"")


def test_an_endless_head_is_refused_while_it_comes() -> None:
    buffer = HeadBuffer(response=False)
    raw = head_of(HEAD_MAX_BYTES * 2)
    fed = 0
    with pytest.raises(MessageError) as caught:
        while True:
            assert buffer.feed(raw[fed : fed + 1000]) is None
            fed += 1000
    assert caught.value.answer is HeadTooLarge
    assert fed <= HEAD_MAX_BYTES
