"""Happy eyeballs, on real sockets and a resolver of our own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from agent.tunnel.dial import dial, interleave

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def full_listener() -> Iterator[socket.socket]:
    """A listener whose queue is full: connecting to it hangs, like an address behind a firewall."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
            fillers.append(filler)
        yield sock
        for filler in fillers:
            filler.close()


def resolver(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        return [(V4, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


def test_families_alternate_beginning_with_the_resolvers_choice() -> None:
    found: list[tuple[int, tuple[object, ...]]] = [(V6, ("a",)), (V6, ("b",)), (V6, ("c",)), (V4, ("d",))]
    assert [address[0] for _, address in interleave(found)] == ["a", "d", "b", "c"]
    assert interleave([]) == []


async def test_it_connects(listener: socket.socket) -> None:
    with await dial("localhost", listener.getsockname()[1]) as sock:
        assert sock.getpeername() == listener.getsockname()
        assert sock.getblocking() is False


async def test_a_refused_address_gives_way_at_once(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()
    resolver(monkeypatch, dead, listener.getsockname())
    async with asyncio.timeout(5):
        with await dial("name", 1, stagger_s=60) as sock:
            assert sock.getpeername() == listener.getsockname()


async def test_an_address_that_hangs_gives_way_after_the_stagger(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket, full_listener: socket.socket
) -> None:
    resolver(monkeypatch, full_listener.getsockname(), listener.getsockname())
    async with asyncio.timeout(5):
        with await dial("name", 1, stagger_s=0.05) as sock:
            assert sock.getpeername() == listener.getsockname()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("dial-")]


async def test_no_answer_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()
    resolver(monkeypatch, dead, dead)
    with pytest.raises(ConnectionRefusedError):
        await dial("name", 1)
    resolver(monkeypatch)
    with pytest.raises(OSError, match="no address"):
        await dial("name", 1)


async def test_an_unknown_name() -> None:
    with pytest.raises(socket.gaierror):
        await dial("name.invalid", 1)


async def test_cancelling_leaves_nothing(monkeypatch: pytest.MonkeyPatch, full_listener: socket.socket) -> None:
    resolver(monkeypatch, full_listener.getsockname(), full_listener.getsockname())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await dial("name", 1, stagger_s=0.01)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("dial-")]
