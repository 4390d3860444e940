"""Clients that are the fault themselves: slow ones, and those that leave."""

from __future__ import annotations

import asyncio

from tests.faults.caller import Caller, Seen
from tests.faults.expectation import Column
from tests.faults.lane import CONCURRENCY, Lane
from tests.faults.loads import GETS, POST_BYTES, SMALL_BYTES, Load
from tests.faults.recovery import read
from tests.faults.row import Row
from tests.kit.until import until

SLOW_PIECES = 5
SLOW_PAUSE_S = 0.4  # below the limit of a client that stops, all of them together above it
LARGE_BYTES = 12 << 20  # more than the kernel takes in for a client that does not read


async def misbehave(lane: Lane, row: Row, column: Column) -> list[Seen]:
    """What the client of this row does in this column, and what it sees."""
    if row.key == "client_gone":
        return await _leave(lane, row, column)
    return await _be_slow(lane, row, column)


async def _leave(lane: Lane, row: Row, column: Column) -> list[Seen]:
    if column is Column.IDLE:
        caller = await _half_a_head(lane)
        caller.leave()
        return [await caller.seen()]
    load = Load(lane, column, row.bulk_bytes)
    await load.begin()
    await load.until_midway()
    seen = await load.leave()
    nonces = {wish.nonce for wish in load.wishes}
    await lane.store.event(
        lambda event: event["event"] == "request" and event["stage"] == "lost" and event["nonce"] in nonces,
        count=min(len(nonces), CONCURRENCY),
    )
    return seen


async def _be_slow(lane: Lane, row: Row, column: Column) -> list[Seen]:
    match column:
        case Column.IDLE:
            return [await (await _half_a_head(lane)).seen()]
        case Column.GET | Column.GETS:
            return await _read_late(lane, GETS if column is Column.GETS else 1)
        case Column.POST:
            return [await _send_slowly(lane)]
        case Column.UPLOAD:
            return [await _stop_sending(lane, row.bulk_bytes)]
        case Column.DOWNLOAD:
            return [await _stop_reading(lane)]


async def _half_a_head(lane: Lane) -> Caller:
    caller = await lane.call(lane.wish("plain"))
    caller.send(lane.head(caller.wish)[:-2])
    return caller


async def _read_late(lane: Lane, many: int) -> list[Seen]:
    callers = [await lane.call(lane.wish("plain", SMALL_BYTES)) for _ in range(many)]
    for caller in callers:
        caller.stop_reading()
        caller.send(lane.head(caller.wish))
    await _answered(lane, callers)
    await read(lane)  # another one is not held up
    for caller in callers:
        caller.read_on()
    return list(await asyncio.gather(*(caller.seen() for caller in callers)))


async def _send_slowly(lane: Lane) -> Seen:
    caller = await lane.call(lane.wish("plain"))
    caller.send(lane.head(caller.wish, POST_BYTES))
    body = lane.body(caller.wish, POST_BYTES)
    piece_bytes = POST_BYTES // SLOW_PIECES
    for at in range(0, POST_BYTES, piece_bytes):
        await asyncio.sleep(SLOW_PAUSE_S)  # the fault itself
        caller.send(body[at : at + piece_bytes])
    return await caller.seen()


async def _stop_sending(lane: Lane, bulk_bytes: int) -> Seen:
    caller = await lane.call(lane.wish("plain"))
    caller.send(lane.head(caller.wish, bulk_bytes) + lane.body(caller.wish, bulk_bytes)[: bulk_bytes // 2])
    return await caller.seen()


async def _stop_reading(lane: Lane) -> Seen:
    caller = await lane.call(lane.wish("plain", LARGE_BYTES))
    caller.send(lane.head(caller.wish))
    await caller.received(1)
    caller.stop_reading()
    await _answered(lane, [caller])  # given up: only then it reads what is there, and meets the reset
    caller.read_on()
    return await caller.seen()


async def _answered(lane: Lane, callers: list[Caller]) -> None:
    """Until the gateway has done with them."""
    targets = {caller.wish.target for caller in callers}

    def done() -> bool:
        found = {str(event.get("target", "")) for event in lane.said() if "connection" in event}
        return all(any(each.endswith(target) for each in found) for target in targets)

    await until(done)
