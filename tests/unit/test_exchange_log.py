"""The line of an exchange: put together by hand, and the same as structlog would have made it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from agent import exchange_log
from agent.exchange_log import log_exchange
from agent.forward.context import ExchangeRecord
from agent.log import REDACTED, configure_logging
from agent.redact import loggable_target
from agent.server import exchange_log as server_exchange_log
from agent.server.gateway_context import GatewayRecord

TRACE = "0af7651916cd43dd8448eb211c80319c"
ODD = 'a"b\\c\x1f\u2028 password=geheim\ufffd'
TARGET = loggable_target(b'http://shop.example.com/api/x?filter[email]="VALUE&ws_key=VALUE&\xff')

AGENT = [
    ExchangeRecord("rid-1", "https://a/", "GET", "/api/", 200, "", 0.01234, 1, 2, TRACE),
    ExchangeRecord(ODD, ODD, 'G"ET', TARGET, 403, "policy_denied", 0.0, 0, 0),
    ExchangeRecord("", "", "PUT", "", 0, "client_gone", 1e-9, 10**12, 7),
]
GATEWAY = [
    GatewayRecord("rid-1", "lyon", "key", "GET", "/lyon/api/", 200, "store", "", 0.01234, 1, 2, trace_id=TRACE),
    GatewayRecord(ODD, ODD, ODD, ODD, TARGET, 502, "gateway", "tunnel_lost", 120.0, 10**12, 7),
    GatewayRecord("", "", "", "", "", 0, "nobody", "client_gone", 0.0, 0, 0),
]


@pytest.fixture(autouse=True)
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    for module in (exchange_log, server_exchange_log):
        monkeypatch.setattr(module, "_log", structlog.get_logger())  # the old one remembers the stream of a test before
    stream = io.StringIO()
    configure_logging("info", json=True, stream=stream)
    yield stream
    structlog.reset_defaults()


def say_on_server(record: GatewayRecord) -> None:
    server_exchange_log.log_exchange(record)


def said(out: io.StringIO, say: Callable[[], None]) -> str:
    before = len(out.getvalue())
    say()
    return out.getvalue()[before:]


@pytest.mark.parametrize("record", AGENT, ids=lambda record: record.error or "done")
def test_the_agents_line_is_the_one_of_structlog(
    record: ExchangeRecord, out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand = said(out, lambda: log_exchange(record))
    monkeypatch.setattr(exchange_log, "info_lines", lambda: None)
    assert without_time(by_hand) == without_time(said(out, lambda: log_exchange(record)))
    assert "VALUE" not in by_hand
    assert "geheim" not in by_hand


@pytest.mark.parametrize("record", GATEWAY, ids=lambda record: record.error or "done")
def test_the_servers_line_is_the_one_of_structlog(
    record: GatewayRecord, out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand = said(out, lambda: say_on_server(record))
    monkeypatch.setattr(server_exchange_log, "info_lines", lambda: None)
    assert without_time(by_hand) == without_time(said(out, lambda: say_on_server(record)))
    assert "VALUE" not in by_hand
    assert "geheim" not in by_hand
    assert (REDACTED in by_hand) == (record.request_id == ODD)


def without_time(line: str) -> str:
    """The line but for when it was made, which has the same form."""
    time = json.loads(line)["time"]
    assert len(time) == len("2027-01-15T08:00:00.250000Z"), "structlog leaves out .000000: once in a million lines"
    assert line.count(time) == 1
    return line.replace(time, "")


def test_one_over_a_limit_is_for_debug(out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = replace(AGENT[1], summed_up=True)
    assert said(out, lambda: log_exchange(limited)) == ""
    configure_logging("debug", json=True, stream=out)
    monkeypatch.setattr(exchange_log, "_log", structlog.get_logger())
    event = json.loads(said(out, lambda: log_exchange(limited)))
    assert (event["level"], event["event"], event["error"]) == ("debug", "exchange.limited", "policy_denied")


def test_above_info_nothing_is_put_together(out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logging("warning", json=True, stream=out)
    record = AGENT[0]
    for module in (exchange_log, server_exchange_log):
        monkeypatch.setattr(module, "json_text", None)  # whoever calls it fails
    assert said(out, lambda: log_exchange(record)) == ""
    assert said(out, lambda: say_on_server(GATEWAY[0])) == ""


def test_text_is_left_to_the_processors() -> None:
    stream = io.StringIO()
    configure_logging("info", json=False, stream=stream)
    log_exchange(AGENT[0])
    assert "exchange.done" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_who_listens_gets_events() -> None:
    with capture_logs() as events:
        log_exchange(AGENT[0])
        say_on_server(GATEWAY[0])
    assert [event["event"] for event in events] == ["exchange.done", "exchange.done"]
