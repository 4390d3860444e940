"""One cell, struck once: the requests, the fault, its end, and everything that must be so afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from tests.faults.caller import Seen
from tests.faults.clients import misbehave
from tests.faults.expectation import Cell, Column, End
from tests.faults.faults import FAULTS
from tests.faults.lane import CONCURRENCY, TUNNELS, Lane
from tests.faults.loads import GETS, Load
from tests.faults.recovery import recovery_s
from tests.faults.row import Noticed, Phase, Row
from tests.kit.until import until

LOGGED_WITHIN_S: Final = 2.0
"""Lines of exchanges are written together, 50 ms late at most, on a machine that may be busy."""

_NOTHING = {"asked": 0, "whole": 0, "damaged": 0, "answered": 0}


async def strike(lane: Lane, row: Row, column: Column) -> float:
    """Seconds until a plain GET succeeded again. Raises ``AssertionError`` with everything that was not as it must be.

    The lane is as before afterwards: all tunnels up, no fault, nothing held.
    """
    await lane.be_patient(row.store_patience_s)
    await lane.store.ask("hold_again")
    await lane.store.ask("take")
    lane.mark()
    runs = {Phase.DURING: _during, Phase.BEFORE: _before, Phase.WHILE: _while, Phase.BY_CLIENT: _by_client}
    seen, took_s = await runs[row.phase](lane, row, column)
    await lane.tunnels_up(TUNNELS if row.loses_tunnels else 0)
    wrong = [
        *_answers(row, column, seen),
        *_ledger(row.cells[column], column, seen, await lane.store.ask("take")),
        *_notices(lane, row),
        *await _logged(lane, seen),
    ]
    assert not wrong, "\n".join(wrong)
    return took_s


async def _during(lane: Lane, row: Row, column: Column) -> tuple[list[Seen], float]:
    fault = FAULTS[row.key]
    await fault.prepare(lane, column)
    load = Load(lane, column, row.bulk_bytes)
    await load.begin()
    await load.until_midway()
    await fault.strike(lane, column)
    recovering = asyncio.create_task(recovery_s(lane, row.recovers_s), name="recovery")
    try:
        seen, _ = await asyncio.gather(load.finish(), fault.lift(lane, column))
        return seen, await recovering
    finally:
        recovering.cancel()
        await asyncio.gather(recovering, return_exceptions=True)


async def _before(lane: Lane, row: Row, column: Column) -> tuple[list[Seen], float]:
    fault = FAULTS[row.key]
    await fault.prepare(lane, column)
    await fault.strike(lane, column)
    try:
        load = Load(lane, column, row.bulk_bytes, held=False)
        await load.begin()
        seen = await load.finish()
    finally:
        await fault.lift(lane, column)
    return seen, await recovery_s(lane, row.recovers_s)


async def _while(lane: Lane, row: Row, column: Column) -> tuple[list[Seen], float]:
    fault = FAULTS[row.key]
    await fault.strike(lane, column)
    try:
        load = Load(lane, column, row.bulk_bytes, held=False)
        await load.begin()
        seen, took_s = await asyncio.gather(load.finish(), recovery_s(lane, row.recovers_s))
    finally:
        await fault.lift(lane, column)
    return seen, took_s


async def _by_client(lane: Lane, row: Row, column: Column) -> tuple[list[Seen], float]:
    return await asyncio.gather(misbehave(lane, row, column), recovery_s(lane, row.recovers_s))


# -- what must be so -----------------------------------------------------------------------------------------------


def _answers(row: Row, column: Column, seen: list[Seen]) -> list[str]:
    expected = row.cells[column].sees
    if expected.end is End.NOTHING:
        return [f"nobody asked, and there was {one}" for one in seen]
    wrong = [] if seen else ["nobody saw anything"]
    waiting = row.cells[column].waiting
    waited = [one for one in seen if waiting is not None and not one.fault(waiting)]
    if len(waited) > GETS - CONCURRENCY:
        wrong.append(f"{len(waited)} requests did not meet the fault")
    wrong += [fault for one in seen if one not in waited and (fault := one.fault(expected))]
    takes_s = row.takes_s.get(column, 0.0)
    return wrong + [f"too fast to have met the fault: {one}" for one in seen if one.took_s < takes_s]


def _ledger(cell: Cell, column: Column, seen: list[Seen], ledger: dict[str, dict[str, int]]) -> list[str]:
    wrong = []
    for one in seen:
        entry = ledger.get(one.wish.nonce, _NOTHING)
        for what, (low, high) in (("asked", cell.asked), ("whole", cell.carried_out)):
            if not low <= entry[what] <= high:
                wrong.append(f"{one.wish.nonce} at the store: {entry}, expected {what} in {low}..{high}")
        if entry["damaged"]:
            wrong.append(f"{one.wish.nonce} reached the store damaged: {entry}")
        if column.is_write and (entry["whole"] > 1 or entry["asked"] > 1):
            wrong.append(f"the write {one.wish.nonce} was repeated: {entry}")
    return wrong


def _notices(lane: Lane, row: Row) -> list[str]:
    """Was the end of the tunnels noticed in the way in which it should be?"""
    silent = [event for event in lane.said() if _is_silence(event)]
    if row.noticed is Noticed.SILENCE and not silent:
        return ["nobody has noticed the silence"]
    if row.noticed in (Noticed.AT_ONCE, Noticed.NEVER) and silent:
        return [f"noticed by silence only: {silent[0]}"]
    if not row.loses_tunnels and row.noticed is not Noticed.RESTART and lane.tunnels_lost:
        return [f"{lane.tunnels_lost} tunnels were lost"]
    return []


def _is_silence(event: dict[str, Any]) -> bool:
    return event["event"] == "tunnel.silent" or (event["event"] == "tunnel.lost" and event.get("reason") == "silent")


async def _logged(lane: Lane, seen: list[Seen]) -> list[str]:
    """The request id of an answer of ours finds the exchange in the server's log, where it may come a moment later."""

    def missing() -> list[Seen]:
        known = {event.get("request_id") for event in lane.said()}
        return [one for one in seen if one.error and one.request_id not in known]

    with contextlib.suppress(TimeoutError):
        await until(lambda: not missing(), LOGGED_WITHIN_S)
    return [f"no log line has the request id of {one}" for one in missing()]
