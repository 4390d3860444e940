"""The fault matrix: every fault x everything that may run, with real processes.

Each cell is struck once, looked at, struck again until it was struck as often as its row says, and looked at again. A
process takes seconds to start, so that rows which end one share their twenty strikes out over their columns.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest

from tests.faults.expectation import Column
from tests.faults.lane import Lane
from tests.faults.lanes import Lanes
from tests.faults.report import PROPERTY, Outcome
from tests.faults.row import Noticed, Row
from tests.faults.rows import ROWS
from tests.faults.strike import strike
from tests.faults.vitals import settled

SUBSET = frozenset(
    {
        ("rst", "get"),
        ("fin", "upload"),
        ("black_hole_up", "post"),
        ("half_open", "gets"),
        ("corrupt", "post"),
        ("delay", "get"),
        ("server_term", "post"),
        ("agent_kill", "get"),
        ("agent_term", "download"),
        ("store_down", "get"),
        ("store_hangs_before_head", "post"),
        ("store_closes_on_reuse", "post"),
        ("client_gone", "download"),
    }
)
SUBSET_REPEATS = 2
LOG_LINES = 40


def _cells() -> list[Any]:
    """The long ones first, so that no process is left with one at the end."""
    cells = [(row, column) for row in ROWS for column in Column]
    cells.sort(key=lambda cell: -cell[0].recovers_s)
    return [
        pytest.param(
            row,
            column,
            id=f"{row.key}-{column.key}",
            marks=pytest.mark.faults(row=row.key, column=column.key, subset=(row.key, column.key) in SUBSET),
        )
        for row, column in cells
    ]


@pytest.mark.timeout(400)  # twenty strikes, each of which may wait for a limit
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("row", "column"), _cells())
async def test_cell(
    lanes: Lanes, row: Row, column: Column, request: pytest.FixtureRequest, record_property: Callable[[str, Any], None]
) -> None:
    everything = any(request.config.getoption(name, None) for name in ("--all-faults", "--row", "--column"))
    few = 1 if row.noticed is Noticed.RESTART else SUBSET_REPEATS
    repeats = request.config.getoption("--repeats", None) or (row.repeats if everything else few)
    began_at = asyncio.get_running_loop().time()
    recoveries: list[float] = []
    outcome = "failed"
    lane, baseline = await lanes.take()
    try:
        for count in range(1, repeats + 1):
            recoveries.append(await strike(lane, row, column))
            if count in (1, repeats):
                await settled(lane, baseline)
        outcome = "ok"
        lanes.keep(lane)
    except (AssertionError, TimeoutError) as error:
        pytest.fail(f"strike {len(recoveries) + 1}: {type(error).__name__}: {error}\n{_told(lane)}", pytrace=False)
    finally:
        took_s = asyncio.get_running_loop().time() - began_at
        found = Outcome(
            row.key,
            column.key,
            outcome,
            len(recoveries),
            round(median(recoveries), 3) if recoveries else 0.0,
            round(max(recoveries), 3) if recoveries else 0.0,
            round(took_s, 1),
        )
        record_property(PROPERTY, found.to_json())


def _told(lane: Lane) -> str:
    """What everybody said during the strike that went wrong."""
    logs = [json.dumps(event) for event in lane.said()][-LOG_LINES:]
    done = [json.dumps(event) for event in [*lane.proxy.events, *lane.store.events]][-LOG_LINES:]
    return "\n".join(["-- server and agent:", *logs, "-- proxy and store:", *done])
