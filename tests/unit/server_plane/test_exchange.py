"""One exchange at the gateway, over a channel that delivers as asyncssh does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.errors import PolicyDenied, StoreTimeout
from agent.forward.pool import WRITE_IDLE_MAX_S
from agent.rewrite import error_response
from agent.server.gateway_context import GatewayLimits
from tests.kit.scripted_store import ok
from tests.kit.until import until
from tests.unit.server_plane.exchange_bench import NONCE, Bench, Client


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.context.close()
    assert made.context.active == 0


async def test_a_whole_answer_gives_the_channel_back(bench: Bench) -> None:
    for _ in range(2):
        client = Client()
        await bench.begin(client)
        bench.tunnel.channels[0].deliver(ok())
        assert client.events == ["answered"]
        assert client.received.endswith(b"<prestashop/>")
        await asyncio.sleep(0)
    assert len(bench.tunnel.channels) == 1
    assert [record.answered_by for record in bench.records] == ["store", "store"]


async def test_an_answer_that_ends_while_it_is_let_go(bench: Bench) -> None:
    """A channel of asyncssh delivers what it held back, to the end of the answer, within ``resume_reading``."""
    client = Client()
    exchange = await bench.begin(client)
    raw = ok(b"x" * 1000)
    bench.tunnel.channels[0].deliver(raw[:300])
    exchange.hold_answer()
    bench.tunnel.channels[0].deliver(raw[300:])
    assert client.events == []
    exchange.release_answer()
    assert client.events == ["answered"]
    assert client.received.endswith(b"x" * 1000)


@pytest.mark.parametrize("plain", [False, True])
async def test_a_channel_whose_end_was_announced_is_not_used_again(plain: bool) -> None:
    bench = Bench(plain=plain)
    client = Client()
    await bench.begin(client)
    bench.tunnel.channels[0].deliver(ok(extra=b"Connection: close\r\n"))
    assert client.events == ["answered"], "that is between gateway and agent"
    assert bench.tunnel.channels[0].aborted
    assert bench.tunnel.pool.idle_count == 0


@pytest.mark.parametrize("plain", [False, True])
async def test_a_store_of_http_1_0_ends_the_channel_of_a_stock_ssh_only(plain: bool) -> None:
    bench = Bench(plain=plain)
    await bench.begin(Client())
    bench.tunnel.channels[0].deliver(ok().replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert bench.tunnel.channels[0].aborted is plain


async def test_surplus_ends_the_channel(bench: Bench) -> None:
    client = Client()
    await bench.begin(client)
    bench.tunnel.channels[0].deliver(ok() + ok(b"<forged/>"))
    assert b"forged" not in client.received
    assert bench.tunnel.channels[0].aborted


async def test_a_read_is_sent_again_on_another_channel_twice_at_most(bench: Bench) -> None:
    client = Client()
    await bench.begin(client)
    for count in (1, 2, 3):
        assert len(bench.tunnel.channels) == count
        assert client.events == []
        bench.tunnel.channels[-1].deliver(b"HTTP/1.1 200 ")  # a piece of a head was not passed on
        bench.tunnel.channels[-1].lose()
        await bench.settle()
    assert client.events == ["refused tunnel_lost"]
    assert client.error is not None
    assert not client.error.outcome_unknown
    assert len({bytes(channel.written) for channel in bench.tunnel.channels}) == 1


@pytest.mark.parametrize(
    ("method", "fields"), [(b"POST", b""), (b"DELETE", b""), (b"PUT", b"Content-Length: 5\r\n"), (b"PATCH", b"")]
)
async def test_a_write_is_never_sent_again(bench: Bench, method: bytes, fields: bytes) -> None:
    client = Client()
    await bench.begin(client, method, fields)
    bench.tunnel.channels[0].lose()
    await bench.settle()
    assert client.events[-1] == "refused tunnel_lost"
    assert client.error is not None
    assert client.error.outcome_unknown
    assert len(bench.tunnel.channels) == 1


async def test_a_read_with_a_body_is_never_sent_again(bench: Bench) -> None:
    client = Client(body_done=False)
    await bench.begin(client, fields=b"Content-Length: 5\r\n")
    bench.tunnel.channels[0].lose()
    assert client.events == ["want", "refused tunnel_lost"]
    assert len(bench.tunnel.channels) == 1


async def test_an_answer_that_breaks_off_is_cut_and_not_asked_for_again(bench: Bench) -> None:
    client = Client()
    await bench.begin(client)
    bench.tunnel.channels[0].deliver(ok(b"x" * 100)[:-50])
    bench.tunnel.channels[0].lose()
    await bench.settle()
    assert client.events == ["cut"]
    assert len(bench.tunnel.channels) == 1
    assert [(record.status, record.error) for record in bench.records] == [(200, "tunnel_lost")]


@pytest.mark.parametrize("eof", [True, False])
async def test_an_answer_without_a_length_needs_an_eof(bench: Bench, eof: bool) -> None:
    client = Client()
    exchange = await bench.begin(client)
    channel = exchange._channel
    assert channel is not None
    bench.tunnel.channels[0].deliver(b"HTTP/1.1 200 OK\r\n\r\nhello")
    if eof:
        channel.eof_received()
    bench.tunnel.channels[0].lose()
    assert client.events == ["answered, close" if eof else "cut"]


async def test_no_tunnel_is_an_error_of_the_gateway(bench: Bench) -> None:
    bench.tunnel.offline = True
    client = Client()
    await bench.begin(client, b"POST")
    assert client.events == ["refused agent_offline"]
    assert client.error is not None
    assert not client.error.outcome_unknown, "nothing was sent"
    assert [(record.answered_by, record.error) for record in bench.records] == [("gateway", "agent_offline")]


async def test_an_error_of_the_agent_is_known_by_its_nonce(bench: Bench) -> None:
    for nonce, expected in ((NONCE, ("agent", "policy_denied")), (b"cd" * 16, ("store", ""))):
        client = Client()
        await bench.begin(client)
        bench.tunnel.channels[0].deliver(
            error_response(PolicyDenied(), proxy="prestashop-agent", as_json=False, to_head=False, nonce=nonce)
        )
        assert client.events == ["answered"]
        assert (b"Proxy-Status: prestashop-agent" in client.received) is (nonce == NONCE)
        assert nonce not in client.received
        assert (bench.records[-1].answered_by, bench.records[-1].error) == expected
        await asyncio.sleep(0)


async def test_an_agent_that_talks_nonsense_loses_the_channel(bench: Bench) -> None:
    client = Client()
    await bench.begin(client, b"PUT")
    bench.tunnel.channels[0].deliver(b"nonsense\r\n\r\n")
    assert client.events == ["refused store_bad_response"]
    assert client.error is not None
    assert client.error.outcome_unknown
    assert bench.tunnel.channels[0].aborted


async def test_a_silent_agent_is_given_up_but_not_while_its_answer_is_held() -> None:
    bench = Bench(limits=GatewayLimits(upstream_silence_s=0.05))
    held, silent = Client(), Client()
    exchange = await bench.begin(held)
    exchange.hold_answer()
    await bench.begin(silent)
    await until(lambda: bool(silent.events))
    assert silent.events == ["refused store_timeout"]
    assert isinstance(silent.error, StoreTimeout)
    assert held.events == []
    exchange.release_answer()
    await until(lambda: bool(held.events))
    assert held.events == ["refused store_timeout"]


async def test_body_and_back_pressure(bench: Bench) -> None:
    client = Client(body_done=False)
    exchange = await bench.begin(client, b"PUT", b"Content-Length: 6\r\n")
    assert exchange._channel is not None
    exchange.body(b"abc")
    exchange._channel.pause_writing()
    exchange._channel.resume_writing()
    exchange.body(b"def")
    client.body_done = True
    exchange._channel.resume_writing()
    assert client.events == ["want", "hold", "want"]
    assert bench.tunnel.channels[0].written.endswith(b"\r\n\r\nabcdef")
    bench.tunnel.channels[0].deliver(ok())
    assert client.events[-1] == "answered"
    assert bench.records[-1].bytes_up == len(bench.tunnel.channels[0].written)


async def test_an_answer_before_the_end_of_the_body_ends_channel_and_connection(bench: Bench) -> None:
    client = Client(body_done=False)
    await bench.begin(client, b"PUT", b"Content-Length: 6\r\n")
    bench.tunnel.channels[0].deliver(ok())
    assert client.events == ["want", "answered, close"]
    assert bench.tunnel.channels[0].aborted


async def test_one_that_is_given_up_says_nothing_more(bench: Bench) -> None:
    client = Client()
    exchange = await bench.begin(client)
    exchange.abandon()
    exchange.abandon()
    exchange.fail(StoreTimeout())
    bench.tunnel.channels[0].lose()
    assert client.events == []
    assert bench.tunnel.channels[0].aborted
    assert [(record.status, record.answered_by, record.error) for record in bench.records] == [
        (0, "nobody", "client_gone")
    ]


@pytest.mark.parametrize(
    ("method", "fields", "channels"),
    [
        (b"GET", b"", 1),
        (b"DELETE", b"", 2),
        (b"PUT", b"Content-Length: 0\r\n", 2),
        (b"GET", b"Content-Length: 1\r\n", 2),
    ],
)
async def test_behind_plain_ssh_what_cannot_be_repeated_takes_a_fresh_store_connection(
    method: bytes, fields: bytes, channels: int
) -> None:
    bench = Bench(plain=True)
    await bench.begin(Client())
    bench.tunnel.channels[0].deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert bench.tunnel.pool.idle_count == 1
    bench.tunnel.pool._idle[0].idle_since -= WRITE_IDLE_MAX_S + 1
    await bench.begin(Client(), method, fields)
    assert len(bench.tunnel.channels) == channels
