"""The dead-link limit as it is delivered: a link that swallows everything is given up in 30 s, by each side."""

from __future__ import annotations

import pytest

from tests.faults.expectation import Column
from tests.faults.faults import FAULTS
from tests.faults.lane import TUNNELS, LaneLimits
from tests.faults.lanes import Lanes
from tests.faults.recovery import recovery_s

LIMIT_S = 30.0
MARGIN_S = 5.0


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(key, marks=pytest.mark.faults(row=f"{key}_by_default", column="idle", subset=False))
        for key in ("black_hole_up", "black_hole_down")
    ],
)
async def test_a_black_hole_is_noticed_within_the_default_limits(lanes: Lanes, row: str) -> None:
    async with lanes.new(LaneLimits(silence_s=None)) as lane:
        lane.mark()
        await FAULTS[row].strike(lane, Column.IDLE)
        took_s = await recovery_s(lane, LIMIT_S + MARGIN_S)
        await lane.tunnels_up(TUNNELS)
        assert 2 < took_s < LIMIT_S + MARGIN_S
        silent = [
            event for event in lane.said() if event.get("reason") == "silent" or event["event"] == "tunnel.silent"
        ]
        assert silent, lane.said()
