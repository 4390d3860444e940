"""Exchanges with a store that is paused or over its limit: what the caller reads, and that nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.forward.context import ExchangeRecord, ForwardContext
from agent.forward.dialer import TcpDialer
from agent.forward.pool import OriginPool
from agent.forward.session import ForwardSession
from agent.forward.target import StoreTable, StoreTarget
from agent.pause import Pause
from agent.pause_file import PauseFile
from agent.pause_switch import PauseSwitch
from agent.policy import METHODS, Rule
from agent.store_url import Store
from tests.kit.memory_channel import MemoryChannel
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest

PAUSE = Pause(1_795_687_200.0, None, "stocktaking")


class Held:
    """A store that answers nothing, or the head of an answer."""

    def __init__(self, begin: bytes = b"") -> None:
        self.begin = begin
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()

    async def __call__(self, request: StoreRequest, connection: StoreConnection) -> bytes | None:
        if self.begin:
            await connection.send(self.begin)
        self.asked.set()
        await connection.until_gone()
        self.gone.set()
        return None


class Bench:
    def __init__(self, port: int) -> None:
        store = Store("http", "127.0.0.1", port, "/")
        self.target = StoreTarget(Rule(store, frozenset(METHODS)), b"shop", OriginPool(TcpDialer("127.0.0.1", port)))
        self.records: list[ExchangeRecord] = []
        self.context = ForwardContext(StoreTable([self.target]), record=self.records.append)
        self.session = ForwardSession(self.context, b"ab" * 16)
        self.channel = MemoryChannel(self.session)
        self.session.connection_made(self.channel)
        self.prefix = store.origin.encode()

    def ask(self, method: bytes = b"GET", body: bytes = b"") -> None:
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        self.channel.deliver(
            method + b" " + self.prefix + b"/api/orders HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n" + body
        )


@pytest.fixture
async def stores() -> AsyncIterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.session.connection_lost(None)
        await bench.context.close()
        assert bench.context.active == 0


async def test_a_paused_store_hears_nothing_and_the_channel_goes_on(stores: list[Bench]) -> None:
    async with ScriptedStore() as store:
        stores.append(bench := Bench(store.port))
        bench.target.gate.set_pause(PAUSE)
        bench.ask()
        assert bench.channel.written.startswith(b"HTTP/1.1 403 ")
        assert b"has paused this store since 2026-11-26 10:00 UTC (stocktaking). Nobody" in bench.channel.written
        assert b"X-Tunnel-Nonce: " + b"ab" * 16 + b" policy_denied\r\n" in bench.channel.written
        assert not bench.channel.closed
        assert store.connections == []
        bench.target.gate.set_pause(None)
        bench.ask()
        await bench.channel.written_until(b"<prestashop/>")
        assert [record.error for record in bench.records] == ["policy_denied", ""]


async def test_over_the_limit_the_caller_is_told_when_to_come_again(stores: list[Bench]) -> None:
    async with ScriptedStore() as store:
        stores.append(bench := Bench(store.port))
        bench.target.gate.limit(2, lambda: 0.0)
        bench.ask()
        await bench.channel.written_until(b"<prestashop/>")
        bench.channel.written.clear()
        bench.ask()
        assert bench.channel.written.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 30\r\n" in bench.channel.written
        assert b" connection_busy\r\n" in bench.channel.written
        assert len(store.requests) == 1
        assert [record.summed_up for record in bench.records] == [False, True]


@pytest.mark.parametrize(("method", "unknown"), [(b"GET", False), (b"POST", True)])
async def test_cut_ends_what_waits_for_an_answer(method: bytes, unknown: bool, stores: list[Bench]) -> None:
    held = Held()
    async with ScriptedStore(held) as store:
        stores.append(bench := Bench(store.port))
        bench.ask(method, b"<a/>" if unknown else b"")
        await held.asked.wait()
        assert bench.context.stop_paused(lambda _: None) == 0
        assert bench.context.stop_paused(lambda _: PAUSE) == 1
        assert bench.channel.written.startswith(b"HTTP/1.1 403 ")
        assert (b"outcome: unknown" in bench.channel.written) is unknown
        async with asyncio.timeout(5):
            await held.gone.wait()
        assert bench.records[0].error == "policy_denied"


async def test_the_command_cuts_and_the_server_is_told(stores: list[Bench], tmp_path: Path) -> None:
    held, told = Held(), list[int]()
    async with ScriptedStore(held) as store:
        stores.append(bench := Bench(store.port))
        switch = PauseSwitch(PauseFile(tmp_path))
        switch.open({bench.target.rule.store: None})
        switch.watch(bench.context, lambda: told.append(1))
        bench.ask()
        await held.asked.wait()
        assert (switch.pause({})["cut"], bench.context.active, told) == (0, 1, [1])
        assert (switch.pause({"cut": True, "for_s": 60})["cut"], bench.context.active, told) == (1, 0, [1, 1])
        assert (switch.resume({})["paused"], told) == ([], [1, 1, 1])
        switch.close()


async def test_cut_breaks_off_an_answer_that_has_begun(stores: list[Bench]) -> None:
    held = Held(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    async with ScriptedStore(held) as store:
        stores.append(bench := Bench(store.port))
        bench.ask()
        await bench.channel.written_until(b"half")
        assert bench.context.stop_paused(lambda _: PAUSE) == 1
        assert bench.channel.aborted, "an end that looks whole would be a lie"
        async with asyncio.timeout(5):
            await held.gone.wait()
