"""A layered check where the way ends: what answers nothing, breaks off or refuses, and how long that may take.

The listeners are real, and the time-outs small.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from agent.checkup import run
from agent.checkup.plan import CheckPlan
from agent.checkup.run import CHECK_TIMEOUT_S, run_checkup
from agent.doctor.report import Layer, Step
from tests.kit.black_hole import black_hole
from tests.kit.checkup import plan_for, stops_at
from tests.kit.deaf_store import DeafStore
from tests.kit.sample_store import running
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, linger_off

LIMIT_S = 0.2
SLACK_S = 0.5
Listener = Callable[[], AbstractAsyncContextManager[int]]


def hasty(plan: CheckPlan) -> CheckPlan:
    return replace(plan, connect_timeout_s=LIMIT_S, tls_timeout_s=LIMIT_S, answer_timeout_s=LIMIT_S)


@asynccontextmanager
async def deaf() -> AsyncIterator[int]:
    """Accepts and reads nothing."""
    async with DeafStore() as store:
        yield store.port


@asynccontextmanager
async def broken(*, by_reset: bool) -> AsyncIterator[int]:
    """Ends each connection at its first byte."""

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if by_reset:
            linger_off(writer)
        writer.transport.abort() if by_reset else writer.close()

    server = await asyncio.start_server(end, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def resetting() -> AbstractAsyncContextManager[int]:
    return broken(by_reset=True)


def closing() -> AbstractAsyncContextManager[int]:
    return broken(by_reset=False)


@pytest.mark.parametrize(
    ("listener", "scheme", "layer", "verdict", "finding"),
    [
        (black_hole, "http", Layer.TCP, "store_unreachable", "did not accept a connection in time"),
        (black_hole, "https", Layer.TCP, "store_unreachable", "did not accept a connection in time"),
        (deaf, "https", Layer.TLS, "store_tls_failed", "it timed out"),
        (resetting, "https", Layer.TLS, "store_tls_failed", "the other side closed the connection"),
        (closing, "https", Layer.TLS, "store_tls_failed", "handshake"),
        (deaf, "http", Layer.HTTP, "store_timeout", "No whole answer came within 0.2 s."),
        (resetting, "http", Layer.HTTP, "store_bad_response", "The connection was reset without one."),
        (closing, "http", Layer.HTTP, "store_bad_response", "without one."),
    ],
)
async def test_where_the_way_ends(listener: Listener, scheme: str, layer: Layer, verdict: str, finding: str) -> None:
    async with listener() as port:
        report = await run_checkup(hasty(plan_for(port, scheme=scheme)))
    step = stops_at(report, layer, verdict)
    assert finding in step.finding
    assert step.elapsed_ms <= (LIMIT_S + SLACK_S) * 1000
    if "timed out" in finding or "in time" in finding or "within" in finding:
        assert step.elapsed_ms >= LIMIT_S * 1000 - 20, "it was given its time"


async def test_each_address_of_a_name_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ("127.0.0.1", "127.0.0.9")
    async with black_hole("0.0.0.0") as port:
        _resolves_to(monkeypatch, *addresses)
        report = await run_checkup(hasty(replace(plan_for(port), address="shop.test")))
    step = stops_at(report, Layer.TCP, "store_unreachable")
    assert len(addresses) * LIMIT_S * 1000 - 20 <= step.elapsed_ms <= (len(addresses) * LIMIT_S + SLACK_S) * 1000


async def test_the_next_address_is_tried_when_one_swallows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    async with black_hole("127.0.0.9") as port:
        _resolves_to(monkeypatch, "127.0.0.9", "127.0.0.1")
        async with _on_port(port):
            report = await run_checkup(hasty(replace(plan_for(port), address="shop.test")))
    step = next(step for step in report.steps if step.layer is Layer.TCP)
    assert f"127.0.0.1 port {port} accepts" in step.finding


@pytest.mark.parametrize(
    ("listener", "scheme", "layer", "verdict"),
    [
        (black_hole, "http", Layer.TCP, "store_unreachable"),
        (deaf, "https", Layer.TLS, "store_tls_failed"),
        (deaf, "http", Layer.HTTP, "store_timeout"),
    ],
)
async def test_the_check_as_a_whole_has_an_end_and_says_where_it_was(
    monkeypatch: pytest.MonkeyPatch, listener: Listener, scheme: str, layer: Layer, verdict: str
) -> None:
    assert CHECK_TIMEOUT_S == 30.0
    monkeypatch.setattr(run, "CHECK_TIMEOUT_S", LIMIT_S)
    patient = {"connect_timeout_s": 60.0, "tls_timeout_s": 60.0, "answer_timeout_s": 60.0}
    async with listener() as port:
        report = await run_checkup(replace(plan_for(port, scheme=scheme), **patient))  # type: ignore[arg-type] # seconds
    assert "did not end within 0.2 s" in stops_at(report, layer, verdict).finding
    assert LIMIT_S * 1000 - 20 <= report.steps[-1].elapsed_ms <= report.elapsed_ms <= (LIMIT_S + SLACK_S) * 1000


@pytest.mark.parametrize(
    ("at", "layer"), [(Layer.WEBSERVICE, Layer.KEY), (Layer.KEY, Layer.PERMISSIONS)], ids=["key", "permissions"]
)
@pytest.mark.parametrize(
    ("whole_s", "verdict"), [(LIMIT_S, "store_timeout"), (CHECK_TIMEOUT_S, "store_timeout")], ids=["whole", "answer"]
)
async def test_a_store_that_falls_silent_in_between_stops_the_layer_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch, at: Layer, layer: Layer, whole_s: float, verdict: str
) -> None:
    monkeypatch.setattr(run, "CHECK_TIMEOUT_S", whole_s)
    async with running() as store:

        def fall_silent(step: Step) -> None:
            if step.layer is at:
                store.delay_s = 60.0

        limit_s = 60.0 if whole_s == LIMIT_S else LIMIT_S
        plan = replace(plan_for(store.port), answer_timeout_s=limit_s, test_path="/api/products")
        report = await run_checkup(plan, fall_silent)
    stops_at(report, layer, verdict)


@pytest.mark.parametrize("verdict", ["store_unreachable"])
async def test_a_store_that_goes_away_in_between_stops_the_layer_that_was_looked_at(verdict: str) -> None:
    store = ScriptedStore(_knows_no_key)

    def stop_listening(step: Step) -> None:
        if step.layer is Layer.WEBSERVICE:
            assert store._server is not None
            store._server.close()

    async with store:
        report = await run_checkup(plan_for(store.port), stop_listening)
    assert "refused the connection" in stops_at(report, Layer.KEY, verdict).finding


@pytest.mark.parametrize("verdict", ["dns_failed"])
@pytest.mark.parametrize("host", ["no-such-host.invalid", "shop..lan"])
async def test_a_name_that_is_none(host: str, verdict: str) -> None:
    step = stops_at(await run_checkup(replace(plan_for(80), address=host)), Layer.DNS, verdict)
    assert f'"{host}" does not resolve' in step.finding


async def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(host: str, port: int) -> tuple[str, ...]:
        await asyncio.Event().wait()
        return ()

    monkeypatch.setattr("agent.checkup.network.resolve", never)
    step = stops_at(await run_checkup(hasty(replace(plan_for(80), address="shop.test"))), Layer.DNS, "dns_failed")
    assert 'No name server answered for "shop.test" within 0.2 s.' in step.finding
    assert step.elapsed_ms <= (LIMIT_S + SLACK_S) * 1000


def _resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **keywords: answers)


@asynccontextmanager
async def _on_port(port: int) -> AsyncIterator[None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield


async def _knows_no_key(request: StoreRequest, connection: StoreConnection) -> bytes:
    body = b"<error><code>20</code></error>"
    return b"HTTP/1.1 401 Unauthorized\r\nPSWS-Version: 0\r\nContent-Length: %d\r\n\r\n" % len(body) + body
