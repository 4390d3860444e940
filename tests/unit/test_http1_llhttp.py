"""No second parser reads something else into what we take: heads against llhttp."""

from __future__ import annotations

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from agent.errors import MessageError
from agent.http1 import (
    Framing,
    RequestHead,
    parse_request_head,
    parse_response_head,
)
from tests.kit.http1_heads import BAD_REQUESTS, request, response
from tests.kit.llhttp import read_request, read_response

TOKEN = st.text("!#$%&'*+-.^_`|~09AZaz", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if byte >= 32 and byte != 127))
KNOWN_METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
FRAMINGS = (
    b"",
    b"Content-Length: 12\r\n",
    b"content-length:0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"TRANSFER-ENCODING:  Chunked \r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, x\r\nContent-Length: 3\r\n",
)


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A well-formed request head."""
    fields = draw(st.lists(st.tuples(TOKEN, VALUE), max_size=4))
    lines = b"".join(name + b":" + draw(st.sampled_from([b"", b" ", b"\t "])) + v + b"\r\n" for name, v in fields)
    method = draw(st.sampled_from(KNOWN_METHODS))
    target = b"/" + draw(st.text("abc/?&=%[]._~+,;:@|", max_size=20)).encode()
    minor = draw(st.sampled_from([b"0", b"1"]))
    return request(lines + draw(st.sampled_from(FRAMINGS)), line=method + b" " + target + b" HTTP/1." + minor)


@st.composite
def damaged(draw: st.DrawFn, source: st.SearchStrategy[bytes]) -> bytes:
    """A head of ``source`` with a few bytes changed, put in or taken out, most of them those that parsers differ on."""
    raw = bytearray(draw(source))
    nasty = st.sampled_from(
        [
            *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b",", b";", b"\0", b"\x0b", b"\x0c", b"\x7f"),
            *(b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"chunked", b"0", b"9", b"+", b"_"),
            *(b"#", b"Host", b"\x80"),
        ]
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 2))] = draw(nasty)
    return bytes(raw)


def first_head(raw: bytes) -> bytes | None:
    end = raw.find(b"\r\n\r\n")
    return raw[: end + 4] if end >= 0 else None


def parsed(raw: bytes) -> RequestHead | None:
    try:
        return parse_request_head(raw)
    except MessageError:
        return None


@settings(deadline=None)
@given(heads())
def test_well_formed_heads_are_taken(raw: bytes) -> None:
    head = parsed(raw)
    if head is None:  # only a framing that HTTP/1.0 does not have, or a value that came out as a second framing
        assert b"chunked" in raw.lower()
        assert b" HTTP/1.0\r\n" in raw


@settings(max_examples=300, deadline=None)
@given(damaged(heads()))
@example(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
def test_what_we_take_llhttp_reads_alike(raw: bytes) -> None:
    whole = first_head(raw)
    assume(whole is not None)
    assert whole is not None
    head = parsed(whole)
    # Other methods the policy refuses, other forms of a target gateway_target; for bytes over 127 see below.
    assume(head is not None and head.method in KNOWN_METHODS and head.target.startswith(b"/") and head.target.isascii())
    assert head is not None
    reading = read_request(whole)
    assert reading is not None, "llhttp refuses what we take"
    assert reading.head_complete
    assert (reading.method, reading.target, reading.minor) == (head.method, head.target, head.minor)
    assert [(name, value.strip(b" \t")) for name, value in reading.fields] == head.fields
    if head.framing is Framing.NONE:
        assert reading.complete
        return
    assert not reading.complete
    body = b"1\r\nx\r\n0\r\n\r\n" if head.framing is Framing.CHUNKED else b"x" * min(head.length, 4096)
    full = read_request(whole + body)
    assert full is not None
    if head.framing is Framing.CHUNKED or head.length <= 4096:
        assert full.complete
        shorter = read_request(whole + body[:-1])
        assert shorter is not None
        assert not shorter.complete
        assert full.body == (b"x" if head.framing is Framing.CHUNKED else body)


def test_raw_bytes_over_127_in_a_target_are_taken_where_llhttp_refuses() -> None:
    """Filters are sent unencoded by real clients, and Apache and nginx pass them to PHP: the one thing we take more."""
    raw = request(line="GET /api/customers?filter[lastname]=Müller HTTP/1.1".encode())
    head = parsed(raw)
    assert head is not None
    assert head.target.endswith("=Müller".encode())
    assert read_request(raw) is None


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A well-formed response head."""
    fields = draw(st.lists(st.tuples(TOKEN, VALUE), max_size=4))
    lines = b"".join(name + b": " + v + b"\r\n" for name, v in fields)
    line = b"HTTP/1.%d %d %s" % (
        draw(st.integers(0, 1)),
        draw(st.integers(200, 599)),
        draw(st.sampled_from([b"", b"A b"])),
    )
    return response(lines + draw(st.sampled_from(FRAMINGS)), line=line)


@settings(max_examples=300, deadline=None)
@given(damaged(answers()))
def test_the_answers_we_take_llhttp_reads_alike(raw: bytes) -> None:
    whole = first_head(raw)
    assume(whole is not None)
    assert whole is not None
    try:
        head = parse_response_head(whole, to_head=False)
    except MessageError:
        return
    assume(head.status >= 200)
    reading = read_response(whole)
    assert reading is not None, "llhttp refuses what we take"
    assert (reading.status, reading.minor) == (head.status, head.minor)
    assert reading.complete == (head.framing is Framing.NONE)
    if head.framing is Framing.CHUNKED:
        full = read_response(whole + b"1\r\nx\r\n0\r\n\r\n")
        assert full is not None
        assert (full.complete, full.body) == (True, b"x")
    elif head.framing is Framing.LENGTH and head.length <= 4096:
        full = read_response(whole + b"x" * head.length)
        assert full is not None
        assert (full.complete, full.body) == (True, b"x" * head.length)
    elif head.framing is Framing.UNTIL_EOF:
        full = read_response(whole + b"x" * 100)
        assert full is not None
        assert (full.complete, full.body) == (False, b"x" * 100)


LLHTTP_IS_LAXER = {
    "CL of 19 digits",
    "CL with a tab behind it",
    "HTTP/0.9",
    "HTTP/2.0",
    "TE gzip, chunked",
    "TE in HTTP/1.0",
    "fragment",
    "no Host",
    "no version",
    "two Hosts",
    "two Hosts in HTTP/1.0",
    "two Hosts in two spellings",
    "two blanks",
}


def test_where_llhttp_takes_what_we_refuse() -> None:
    """The list is written down so that a change on either side is noticed."""
    laxer = {case for case, raw in BAD_REQUESTS.items() if (reading := read_request(raw)) and reading.head_complete}
    assert laxer == LLHTTP_IS_LAXER
