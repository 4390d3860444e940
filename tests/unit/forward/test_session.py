"""One channel on the store's side, over a channel that delivers as asyncssh does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.forward.context import ExchangeRecord, ForwardContext
from agent.forward.dialer import TcpDialer
from agent.forward.pool import OriginPool
from agent.forward.session import ForwardSession
from agent.forward.target import ForwardTimeouts, StoreTable, StoreTarget
from agent.policy import METHODS, Rule
from agent.store_url import Store
from tests.kit.memory_channel import MemoryChannel
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest, ok

NONCE = b"ab" * 16


class Bench:
    """A session, its channel, its store and its record."""

    def __init__(self, store: ScriptedStore, timeouts: ForwardTimeouts, methods: frozenset[str]) -> None:
        value = Store("http", "127.0.0.1", store.port, "/")
        self.records: list[ExchangeRecord] = []
        self.pool = OriginPool(TcpDialer("127.0.0.1", store.port))
        self.table = StoreTable([StoreTarget(Rule(value, methods), b"shop.example", self.pool)])
        self.context = ForwardContext(self.table, timeouts=timeouts, record=self.records.append)
        self.session = ForwardSession(self.context, NONCE)
        self.channel = MemoryChannel(self.session)
        self.session.connection_made(self.channel)
        self.store = store
        self.origin = value.origin.encode()

    def request(self, method: bytes = b"GET", fields: bytes = b"", path: bytes = b"/api/products") -> bytes:
        return method + b" " + self.origin + path + b" HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n"


class Benches:
    """Makes benches, and takes them down."""

    def __init__(self) -> None:
        self._made: list[Bench] = []

    def make(
        self,
        store: ScriptedStore,
        timeouts: ForwardTimeouts | None = None,
        methods: frozenset[str] = frozenset(METHODS),
    ) -> Bench:
        self._made.append(Bench(store, timeouts or ForwardTimeouts(), methods))
        return self._made[-1]

    async def close(self) -> None:
        for bench in self._made:
            bench.session.connection_lost(None)
            await bench.context.close()
            assert (bench.context.active, bench.context.sessions) == (0, 0)


@pytest.fixture
async def benches() -> AsyncIterator[Benches]:
    made = Benches()
    yield made
    await made.close()


async def test_exchanges_one_after_another_on_one_store_connection(benches: Benches) -> None:
    async with ScriptedStore() as store:
        bench = benches.make(store)
        for count in (1, 2, 3):
            bench.channel.written.clear()
            bench.channel.deliver(bench.request(fields=b"X-Request-Id: rid-%d\r\n" % count))
            assert await bench.channel.written_until(b"<prestashop/>") == ok()
        assert [request.connection for request in store.requests] == [0, 0, 0]
        assert store.requests[0].raw_head == (
            b"GET /api/products HTTP/1.1\r\nHost: shop.example\r\nX-Request-Id: rid-1\r\n\r\n"
        )
        assert [record.request_id for record in bench.records] == ["rid-1", "rid-2", "rid-3"]
        assert bench.records[0].bytes_from_store == len(ok())


async def test_a_body_that_comes_while_the_store_is_dialed_keeps_its_order(benches: Benches) -> None:
    pieces = [b"%06d" % number for number in range(2000)]
    async with ScriptedStore() as store:
        bench = benches.make(store)
        length = sum(map(len, pieces))
        bench.channel.deliver(bench.request(b"PUT", b"Content-Length: %d\r\n" % length) + pieces[0])
        for piece in pieces[1:]:
            bench.channel.deliver(piece)
        await bench.channel.written_until(b"<prestashop/>")
        assert store.requests[0].body == b"".join(pieces)


async def test_an_early_answer_never_makes_the_rest_of_a_body_a_request(benches: Benches) -> None:
    """The rest of the body is a request that the gateway never judged."""

    async def early(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        return ok(b"<early/>")

    async with ScriptedStore(early, at_head=True) as store:
        bench = benches.make(store)
        smuggled = bench.request(b"DELETE", path=b"/api/products/1")
        bench.channel.deliver(bench.request(b"PUT", b"Content-Length: 100000\r\n"))
        await store.wait_for_requests(1)
        bench.channel.pause_reading()  # it is in flight when the answer comes
        bench.channel.deliver(smuggled)
        answered = await bench.channel.written_until(b"<early/>")
        assert b"\r\nConnection: close\r\n" in answered, "the gateway must not use this channel again"
        bench.channel.deliver(smuggled)
        assert (bench.channel.eof, bench.channel.closed) == (True, True)
        assert len(bench.records) == 1
        assert bench.context.active == 0, "nothing else has begun"
        assert b"DELETE" not in store.received


async def test_what_follows_a_request_without_a_body_is_refused(benches: Benches) -> None:
    async with ScriptedStore() as store:
        bench = benches.make(store)
        bench.channel.deliver(bench.request() + bench.request(b"DELETE"))
        assert bench.channel.written.startswith(b"HTTP/1.1 400 ")
        assert bench.channel.closed
        assert store.connections == []


async def test_bytes_behind_a_body_cut_the_store_off(benches: Benches) -> None:
    async def hold(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.until_gone()
        return None

    async with ScriptedStore(hold) as store:
        bench = benches.make(store)
        bench.channel.deliver(bench.request(b"PUT", b"Content-Length: 5\r\n"))
        bench.channel.deliver(b"hello, and more")
        await bench.channel.written_until(b"</prestashop>\n")
        assert bench.channel.written.startswith(b"HTTP/1.1 400 ")
        assert b"X-Tunnel-Nonce: " + NONCE + b" bad_request\r\n" in bench.channel.written
        assert b"and more" not in store.received


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"GET http://elsewhere.example/api HTTP/1.1\r\nHost: x\r\n\r\n", b"policy_denied"),
        (b"GET /api/products HTTP/1.1\r\nHost: x\r\n\r\n", b"policy_denied"),
        (b"GET / HTTP/1.1\r\n\r\n", b"bad_request"),
        (b"junk\r\n\r\n", b"bad_request"),
        (b"GET /" + b"a" * 9000, b"target_too_long"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 66000, b"head_too_large"),
        (b"GET / HTTP/1.1\n", b"bad_request"),
    ],
)
async def test_what_may_not_pass_is_answered_with_the_nonce(benches: Benches, raw: bytes, name: bytes) -> None:
    async with ScriptedStore() as store:
        bench = benches.make(store)
        bench.channel.deliver(raw)
        assert b"\r\nX-Tunnel-Nonce: " + NONCE + b" " + name + b"\r\n" in bench.channel.written
        assert store.connections == []


async def test_the_policy_is_the_agents_own(benches: Benches) -> None:
    async with ScriptedStore() as store:
        bench = benches.make(store, methods=frozenset({"GET"}))
        bench.channel.deliver(bench.request(b"DELETE"))
        assert bench.channel.written.startswith(b"HTTP/1.1 403 ")
        assert not bench.channel.closed, "a refusal leaves the channel as it was"
        bench.channel.written.clear()
        bench.channel.deliver(bench.request(path=b"/api/products?ps_method=DELETE"))
        assert bench.channel.written.startswith(b"HTTP/1.1 403 ")
        assert store.connections == []
        bench.channel.deliver(bench.request())
        await bench.channel.written_until(b"<prestashop/>")
        assert [record.error for record in bench.records] == ["policy_denied", "policy_denied", ""]


async def test_a_full_channel_holds_the_store_back_and_lets_it_go(benches: Benches) -> None:
    size = 8_000_000
    sent = asyncio.Event()

    async def big(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.send(ok(b"x" * size))
        sent.set()
        return None

    async with ScriptedStore(big) as store:
        bench = benches.make(store)
        bench.session.pause_writing()
        bench.channel.deliver(bench.request())
        await store.wait_for_requests(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sent.wait(), 0.2)
        assert len(bench.channel.written) < size / 2
        bench.session.resume_writing()
        await bench.channel.written_until(b"x" * 100)
        await asyncio.wait_for(sent.wait(), 5)
        async with asyncio.timeout(5):
            while not bench.records:
                bench.channel.wrote.clear()
                await bench.channel.wrote.wait()
        assert len(bench.channel.written) == len(ok(b"x" * size))


async def test_a_store_that_does_not_read_is_the_stores_timeout(benches: Benches) -> None:
    async def deaf(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await asyncio.Event().wait()
        return None

    async with ScriptedStore(deaf, at_head=True) as store:
        bench = benches.make(store, ForwardTimeouts(first_byte_s=0.3, stall_s=0.3))
        bench.channel.deliver(bench.request(b"PUT", b"Content-Length: 64000000\r\n"))
        for _ in range(640):
            bench.channel.deliver(b"x" * 100_000)
        await bench.channel.written_until(b"</prestashop>\n")
        assert b" store_timeout\r\n" in bench.channel.written
        assert b"outcome: unknown" in bench.channel.written


async def test_a_body_that_stops_coming_is_the_clients_timeout(benches: Benches) -> None:
    async with ScriptedStore() as store:
        bench = benches.make(store, ForwardTimeouts(first_byte_s=0.1, stall_s=0.1))
        bench.channel.deliver(bench.request(b"PUT", b"Content-Length: 5\r\n") + b"he")
        await bench.channel.written_until(b"</prestashop>\n")
        assert b" client_timeout\r\n" in bench.channel.written
        assert bench.channel.closed


async def test_a_head_that_stops_coming_is_the_clients_timeout(benches: Benches) -> None:
    async with ScriptedStore() as store:
        bench = benches.make(store, ForwardTimeouts(stall_s=0.05))
        bench.channel.deliver(b"GET http")
        await bench.channel.written_until(b"</prestashop>\n")
        assert b" client_timeout\r\n" in bench.channel.written


async def test_a_channel_that_goes_takes_the_store_request_along(benches: Benches) -> None:
    gone = asyncio.Event()

    async def hold(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await connection.until_gone()
        gone.set()
        return None

    async with ScriptedStore(hold) as store:
        bench = benches.make(store)
        bench.channel.deliver(bench.request())
        await store.wait_for_requests(1)
        bench.session.eof_received()
        await asyncio.wait_for(gone.wait(), 5)
        assert bench.channel.aborted
        assert [(record.status, record.error) for record in bench.records] == [(0, "client_gone")]


async def test_draining_waits_for_what_runs(benches: Benches) -> None:
    go = asyncio.Event()

    async def slow(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        await go.wait()
        return ok()

    async with ScriptedStore(slow) as store:
        bench = benches.make(store)
        await bench.context.begun_have_ended()
        bench.channel.deliver(bench.request())
        await store.wait_for_requests(1)
        quiet = asyncio.ensure_future(bench.context.begun_have_ended())
        await asyncio.sleep(0)
        assert not quiet.done()
        go.set()
        await asyncio.wait_for(quiet, 5)
