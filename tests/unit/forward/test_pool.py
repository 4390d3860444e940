"""Which store connection may carry which exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from agent.errors import ConnectionBusy, StoreUnreachable
from agent.forward.dialer import TcpDialer
from agent.forward.origin import OriginConnection
from agent.forward.pool import WRITE_IDLE_MAX_S, WRITE_USES_MAX, OriginPool, PoolLimits
from tests.kit.scripted_store import ScriptedStore, StoreConnection, StoreRequest
from tests.kit.until import until

P = TypeVar("P", bound=asyncio.Protocol)


@pytest.fixture
async def store() -> AsyncIterator[ScriptedStore]:
    async with ScriptedStore() as running:
        yield running


def pool_of(store: ScriptedStore, limits: PoolLimits | None = None) -> OriginPool:
    return OriginPool(TcpDialer("127.0.0.1", store.port), limits)


async def kept(pool: OriginPool, now: float = 100.0) -> OriginConnection:
    """A connection that came back at ``now``."""
    connection = await pool.dial()
    pool.give_back(connection, now)
    return connection


async def test_the_connection_used_last_is_taken_first(store: ScriptedStore) -> None:
    pool = pool_of(store)
    first, second = await pool.dial(), await pool.dial()
    pool.give_back(first, 100.0)
    pool.give_back(second, 101.0)
    assert (pool.open_count, pool.idle_count) == (2, 2)
    assert pool.take_idle(102.0, for_write=False) is second
    assert pool.take_idle(102.0, for_write=True) is first
    assert pool.take_idle(102.0, for_write=False) is None
    assert second.uses == 2
    pool.close()


@pytest.mark.parametrize(("idle_s", "taken"), [(0.0, True), (WRITE_IDLE_MAX_S, True), (WRITE_IDLE_MAX_S + 0.01, False)])
async def test_a_write_takes_no_connection_that_was_idle_for_long(
    store: ScriptedStore, idle_s: float, taken: bool
) -> None:
    pool = pool_of(store)
    connection = await kept(pool)
    assert (pool.take_idle(100.0 + idle_s, for_write=True) is connection) is taken
    if not taken:
        assert pool.take_idle(100.0 + idle_s, for_write=False) is connection
    pool.close()


async def test_a_write_takes_no_connection_near_the_stores_limit_of_requests(store: ScriptedStore) -> None:
    pool = pool_of(store)
    connection = await kept(pool)
    connection.uses = WRITE_USES_MAX
    assert pool.take_idle(100.0, for_write=True) is None
    connection.uses = WRITE_USES_MAX - 1
    assert pool.take_idle(100.0, for_write=True) is connection
    pool.close()


async def test_a_write_skips_an_old_connection_for_a_fresh_one(store: ScriptedStore) -> None:
    pool = pool_of(store)
    fresh, worn = await pool.dial(), await pool.dial()
    worn.uses = WRITE_USES_MAX
    pool.give_back(fresh, 100.0)
    pool.give_back(worn, 100.0)
    assert pool.take_idle(100.0, for_write=True) is fresh
    pool.close()


async def test_idle_connections_are_let_go_after_a_minute(store: ScriptedStore) -> None:
    pool = pool_of(store)
    connection = await kept(pool)
    assert pool.take_idle(160.5, for_write=False) is None
    assert connection.closed
    assert pool.idle_count == 0


async def test_a_connection_that_said_something_unasked_is_not_taken(store: ScriptedStore) -> None:
    pool = pool_of(store)
    connection = await kept(pool)
    connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert pool.take_idle(100.0, for_write=True) is None, "its connection_lost has not come yet"


async def test_a_connection_that_the_store_closes_is_not_taken(store: ScriptedStore) -> None:
    pool = pool_of(store)
    connection = await kept(pool)
    connection.eof_received()
    assert pool.take_idle(100.0, for_write=True) is None, "its connection_lost has not come yet"


async def test_the_stores_close_takes_a_connection_out(store: ScriptedStore) -> None:
    gone = asyncio.Event()

    async def bye(request: StoreRequest, connection: StoreConnection) -> bytes | None:
        raise AssertionError

    store.script = bye
    pool = pool_of(store)
    await kept(pool)
    forget = pool._forget

    def forgotten(connection: OriginConnection) -> None:
        forget(connection)
        gone.set()

    for connection in pool._all:
        connection._gone = forgotten
    await until(lambda: bool(store.connections))
    store.connections[0].writer.close()
    await asyncio.wait_for(gone.wait(), 5)
    assert (pool.open_count, pool.idle_count) == (0, 0)


async def test_there_is_a_limit_and_idle_ones_make_room(store: ScriptedStore) -> None:
    pool = pool_of(store, PoolLimits(connections_max=2))
    first, second = await pool.dial(), await pool.dial()
    with pytest.raises(ConnectionBusy, match="2 connections"):
        await pool.dial()
    pool.give_back(first, 100.0)
    third = await pool.dial()
    assert first.closed
    for connection in (second, third):
        connection.abort()


async def test_after_close_nothing_is_kept(store: ScriptedStore) -> None:
    pool = pool_of(store)
    idle, busy = await pool.dial(), await pool.dial()
    pool.give_back(idle, 100.0)
    pool.close()
    assert [connection.closed for connection in (idle, busy)] == [True, False], "what runs ends by itself"
    pool.give_back(busy, 100.0)
    assert busy.closed
    assert pool.idle_count == 0


class _DeadOnArrival:
    """A dialer whose connections are closed by the time they are handed over."""

    async def dial(self, protocol: Callable[[], P]) -> P:
        made = protocol()
        made.connection_lost(None)
        return made


async def test_a_connection_closed_at_once_is_unreachable() -> None:
    pool = OriginPool(_DeadOnArrival())
    with pytest.raises(StoreUnreachable):
        await pool.dial()
    assert pool.open_count == 0


async def test_a_connection_whose_store_left_a_body_unread_is_not_kept(store: ScriptedStore) -> None:
    pool = pool_of(store)
    connection = await pool.dial()
    connection.pause_writing()  # what the transport says once, and not again for the next upload
    pool.give_back(connection, 100.0)
    assert connection.closed
    assert pool.take_idle(100.0, for_write=False) is None


async def test_idle_connections_go_without_another_exchange(store: ScriptedStore) -> None:
    pool = pool_of(store, PoolLimits(idle_max_s=0.2))
    loop = asyncio.get_running_loop()
    first, second = await pool.dial(), await pool.dial()
    pool.give_back(first, loop.time())
    await asyncio.sleep(0.1)
    pool.give_back(second, loop.time())
    await until(lambda: first.closed)
    assert not second.closed, "it came back later"
    await until(lambda: second.closed)
    assert pool.idle_count == 0
    assert pool._reaper is None, "nothing is left to wait for"


class _Defect:
    """A dialer with a defect."""

    async def dial(self, protocol: Callable[[], P]) -> P:
        raise TypeError("SECRET")


async def test_a_defect_of_a_dialer_is_an_exchange_error_and_is_logged_without_its_text() -> None:
    pool = OriginPool(_Defect())
    with capture_logs() as lines, pytest.raises(StoreUnreachable) as caught:
        await pool.dial()
    assert [line["kind"] for line in lines] == ["TypeError"]
    assert "SECRET" not in f"{lines} {caught.value.message}"
    assert pool.open_count == 0
