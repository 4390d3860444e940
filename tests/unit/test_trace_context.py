"""Which traceparent is believed, what of it is logged, and what is passed on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.exchange_log import log_exchange
from agent.forward.context import ExchangeRecord
from agent.http1 import Field, parse_request_head
from agent.log import configure_logging
from agent.rewrite import forwarded_fields
from agent.trace_context import trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{PARENT}-01".encode()

MALFORMED = [
    b"",
    GOOD.upper(),
    GOOD + b"-more",  # version 00 ends here
    GOOD.replace(b"00-4", b"ff-4"),
    GOOD[:-1],
    GOOD.replace(TRACE.encode(), b"0" * 32),
    GOOD.replace(PARENT.encode(), b"0" * 16),
    b"cc" + GOOD[2:] + b"more",
    b"cc" + GOOD[2:] + b"-" + b"x" * 500,
    b"canary@example.com",
]


@pytest.mark.parametrize("value", [GOOD, b"cc" + GOOD[2:], b"cc" + GOOD[2:] + b"-what-comes"])
def test_the_trace_id_is_read(value: bytes) -> None:
    assert trace_id([(b"Accept", b"*/*"), (b"TraceParent", value)]) == TRACE


@pytest.mark.parametrize("value", MALFORMED)
def test_what_is_malformed_has_none_and_is_not_passed_on(value: bytes) -> None:
    fields = [(b"traceparent", value), (b"tracestate", b"vendor=1"), (b"Accept", b"*/*")]
    assert trace_id(fields) == ""
    sent = sent_on(fields)
    assert b"trace" not in sent.lower()
    assert b"Accept: */*" in sent


def test_two_of_them_are_none() -> None:
    assert trace_id([(b"traceparent", GOOD), (b"Traceparent", GOOD)]) == ""


def test_a_good_one_is_passed_on_with_its_state_and_none_is_made_up() -> None:
    sent = sent_on([(b"Traceparent", GOOD), (b"tracestate", b"vendor=1")])
    assert b"Traceparent: " + GOOD + b"\r\n" in sent
    assert b"tracestate: vendor=1\r\n" in sent
    assert b"trace" not in sent_on([(b"tracestate", b"vendor=1")]).lower(), "a state without a parent"


class Looked(list[Field]):
    """Fields that know how often somebody went through them."""

    times = 0

    def __iter__(self) -> Iterator[Field]:
        self.times += 1
        return super().__iter__()


def test_a_head_full_of_trace_fields_costs_no_more_than_another() -> None:
    fields = Looked([(b"tracestate", b"")] * 3000 + [(b"traceparent", GOOD)])
    head = parse_request_head(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    sent = forwarded_fields(replace(head, fields=fields))
    assert sent.count(b"tracestate") == 3000
    assert fields.times == 2, "once for the trace, once for what is sent"


def test_the_agents_line_has_request_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", json=True)
    for trace in (TRACE, ""):
        log_exchange(ExchangeRecord("abcdefgh", "https://a/", "GET", "/api/", 200, "", 0.1, 1, 2, trace))
    with_it, without = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (with_it["request_id"], with_it["trace_id"]) == ("abcdefgh", TRACE)
    assert "trace_id" not in without


def sent_on(fields: list[Field]) -> bytes:
    """The head as the next one gets it."""
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    head = parse_request_head(b"GET /api/ HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")
    return forwarded_fields(head)
