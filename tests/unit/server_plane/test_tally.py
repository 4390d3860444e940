"""From which moments the times of an exchange are told: over exchanges whose clock the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.errors import AgentOffline, ClientKeyInvalid
from agent.http1 import parse_request_head
from agent.server.gateway_context import GatewayRecord
from agent.server.order import Order
from agent.server.refusal import Refusal
from agent.server.tally import Tally
from tests.kit.scripted_store import ok
from tests.unit.server_plane.exchange_bench import Bench, Client
from tests.unit.server_plane.test_order import route, table_of

SECRET = "CANARY0CLIENT0KEY0CANARY0CLIENT0"
TRIP_S = 2.0
SLACK_S = 0.9  # what a busy machine may add; the steps of the tests are whole seconds


class Clock:
    """The loop's clock, which the test puts forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        real = loop.time
        self.ahead_s = 0.0
        monkeypatch.setattr(loop, "time", lambda: real() + self.ahead_s)

    def turn(self, seconds: float) -> None:
        self.ahead_s += seconds


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
async def bench(clock: Clock) -> AsyncIterator[Bench]:
    made = Bench()
    made.tunnel.pool.round_trip = lambda: TRIP_S
    yield made
    await made.context.close()


def only(bench: Bench) -> GatewayRecord:
    (record,) = bench.records
    return record


def about(seconds: float | None, expected: float) -> bool:
    return seconds is not None and expected <= seconds < expected + SLACK_S


async def test_first_byte_less_waiting_and_tunnel_is_the_stores_share(bench: Bench, clock: Clock) -> None:
    await bench.begin(Client())
    clock.turn(10)
    raw = ok(b"x" * 100)
    bench.tunnel.channels[0].deliver(raw[:-50])
    clock.turn(5)
    bench.tunnel.channels[0].deliver(raw[-50:])
    record = only(bench)
    assert about(record.first_byte_s, 10)
    assert about(record.elapsed_s, 15)
    assert about(record.waited_s, 0)
    assert record.tunnel_s == TRIP_S
    assert about(record.store_s, 10 - TRIP_S)


async def test_the_time_in_the_queue_counts_as_waiting(bench: Bench, clock: Clock) -> None:
    bench.table = bench.context.table = table_of(route(mode="on-premise", agent_id="a", concurrency=1))
    await bench.begin(Client())
    await bench.begin(Client())
    assert len(bench.tunnel.channels) == 1, "the second waits for its place"
    clock.turn(3)
    bench.tunnel.channels[0].deliver(ok())
    await asyncio.sleep(0)
    await bench.settle()
    clock.turn(4)
    bench.tunnel.channels[-1].deliver(ok())
    second = bench.records[1]
    assert about(second.waited_s, 3)
    assert about(second.first_byte_s, 7)
    assert about(second.store_s, 4 - TRIP_S)


async def test_a_read_that_is_repeated_waited_until_it_was_sent_last(bench: Bench, clock: Clock) -> None:
    await bench.begin(Client())
    clock.turn(3)
    bench.tunnel.channels[0].lose()
    await bench.settle()
    await bench.settle()
    clock.turn(4)
    bench.tunnel.channels[-1].deliver(ok())
    assert about(only(bench).waited_s, 3)
    assert about(only(bench).store_s, 4 - TRIP_S)


async def test_an_exchange_without_a_channel_has_no_shares(bench: Bench) -> None:
    bench.tunnel.offline = True
    client = Client()
    await bench.begin(client)
    assert isinstance(client.error, AgentOffline)
    record = only(bench)
    assert (record.waited_s, record.first_byte_s, record.tunnel_s, record.store_s) == (None, None, None, None)


async def test_a_client_that_leaves_before_the_answer_leaves_no_share_of_the_store(bench: Bench) -> None:
    exchange = await bench.begin(Client())
    exchange.abandon()
    record = only(bench)
    assert (record.status, record.answered_by, record.error) == (0, "nobody", "client_gone")
    assert (record.first_byte_s, record.store_s) == (None, None)


async def test_where_nobody_measures_the_tunnel_the_share_of_the_store_is_unknown(clock: Clock) -> None:
    bench = Bench(plain=True)
    await bench.begin(Client())
    clock.turn(1)
    bench.tunnel.channels[0].deliver(ok())
    record = only(bench)
    assert about(record.first_byte_s, 1)
    assert (record.tunnel_s, record.store_s) == (None, None)


async def test_the_callers_trace_is_in_the_record_of_the_gateway(bench: Bench) -> None:
    trace = b"4bf92f3577b34da6a3ce929d0e0e4736"
    await bench.begin(Client(), fields=b"Traceparent: 00-" + trace + b"-00f067aa0ba902b7-01\r\n")
    channel = bench.tunnel.channels[0]
    assert trace in bytes(channel.written)
    channel.deliver(ok())
    assert only(bench).trace_id == trace.decode()


@pytest.mark.parametrize(
    "target",
    [
        b"/lyon/api/products?ws_key=%s&display=full",
        b"/lyon/api/products?%s",
        b"/lyon/api/products%%26ws_key=%s",
        b"/lyon/api/products;ws_key=%s",
        b"http://%s@gateway/lyon/api/products",
        b"http://%s:@gateway/lyon/api/products?filter[email]=%s",
        b"/lyon/api/products?a=1?ws_key=%s",
        b"/lyon/api/products#ws_key=%s",
    ],
)
def test_no_record_has_a_value_of_the_target(target: bytes) -> None:
    head = parse_request_head(b"GET / HTTP/1.1\r\nHost: gw\r\n\r\n")
    head.target = target.replace(b"%s", SECRET.encode())
    order = Order(b"0123456789abcdef", head)
    answered = Tally(0.0).record(order, route(), "store", 200, "", 1.0)
    for record in (answered, Refusal(ClientKeyInvalid(), order).record):
        assert SECRET not in repr(record)
        assert record.target.startswith("/lyon/api/products")
