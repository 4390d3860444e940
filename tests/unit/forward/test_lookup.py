"""Name lookups that do not stand in each other's way."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from agent.forward.dialer import TcpDialer
from agent.forward.lookup import THREADS_MAX, resolve
from tests.kit.scripted_store import ScriptedStore
from tests.kit.until import until


class Resolver:
    """Stands where the system's resolver stands: names under ``dead`` get no answer until ``free`` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.free = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)

    def _getaddrinfo(self, host: str, port: int, **keywords: int) -> list[Any]:
        self.asked.append(host)
        if host.endswith("dead"):
            self.free.wait(60)
        if host.startswith("no"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (it, port)) for it in ("127.0.0.1", "127.0.0.2")]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    found = Resolver(monkeypatch)
    yield found
    found.free.set()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "2001:db8::1", "fe80::1%lo"])
async def test_an_address_is_not_looked_up(resolver: Resolver, address: str) -> None:
    assert await resolve(address, 80) == (address,)
    assert resolver.asked == []


async def test_all_addresses_in_the_resolvers_order_and_nothing_is_kept(resolver: Resolver) -> None:
    for count in (1, 2):
        assert await resolve("shop.example", 80) == ("127.0.0.1", "127.0.0.2")
        assert resolver.asked == ["shop.example"] * count


async def test_who_asks_at_the_same_time_shares_one_lookup(resolver: Resolver) -> None:
    callers = [asyncio.create_task(resolve("shop.dead", 80)) for _ in range(5)]
    await until(lambda: resolver.asked == ["shop.dead"])
    callers[0].cancel()
    callers.append(asyncio.create_task(resolve("shop.dead", 80)))
    await asyncio.wait(callers[:1])
    resolver.free.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [("127.0.0.1", "127.0.0.2")] * 5, "the others got their answer"
    assert resolver.asked == ["shop.dead"]


async def test_a_failure_is_told_to_everyone_who_asked(resolver: Resolver) -> None:
    callers = [asyncio.create_task(resolve("no.dead", 80)) for _ in range(2)]
    await until(lambda: resolver.asked == ["no.dead"])
    resolver.free.set()
    for answer in await asyncio.gather(*callers, return_exceptions=True):
        assert isinstance(answer, socket.gaierror)


async def test_many_names_without_an_answer_do_not_delay_another_store(resolver: Resolver) -> None:
    async with ScriptedStore() as store:
        dead = [asyncio.create_task(TcpDialer(f"s{n}.dead", 80).dial(asyncio.Protocol)) for n in range(48)]
        await until(lambda: len(resolver.asked) >= 2)
        for task in dead:
            task.cancel()  # a cancelled lookup keeps its thread
        made = await asyncio.wait_for(TcpDialer("shop.example", store.port).dial(_Keeping), 5)
        made.transport.close()
        await asyncio.gather(*dead, return_exceptions=True)


async def test_more_names_than_threads_wait_for_their_turn(resolver: Resolver) -> None:
    names = [f"s{n}.dead" for n in range(THREADS_MAX + 8)]
    callers = [asyncio.create_task(resolve(name, 80)) for name in names]
    await until(lambda: len(resolver.asked) >= THREADS_MAX)
    resolver.free.set()
    await asyncio.gather(*callers)
    assert sorted(resolver.asked) == sorted(names)
    assert sum(thread.name.startswith("dns-") for thread in threading.enumerate()) <= THREADS_MAX


def test_a_lookup_without_an_answer_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio, contextlib, socket, threading
from agent.forward.lookup import resolve
socket.getaddrinfo = lambda *a, **k: threading.Event().wait(90)
async def main():
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(resolve("shop.dead", 80), 0.1)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


class _Keeping(asyncio.Protocol):
    """Keeps its transport."""

    transport: asyncio.BaseTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
