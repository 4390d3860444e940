"""The lane that the cells of one test process share: started when first wanted, thrown away after a failure."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from tests.faults.expectation import Column
from tests.faults.lane import Lane, LaneLimits
from tests.faults.rows import BY_KEY
from tests.faults.strike import strike
from tests.faults.vitals import Vitals, settled


class Lanes:
    """Gives a lane that is at rest, and what it holds then."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made = 0
        self._stack = AsyncExitStack()
        self._lane: Lane | None = None
        self._baseline: Vitals = {}

    async def take(self) -> tuple[Lane, Vitals]:
        """The lane; whoever takes it gives it back by ``keep``, or it is thrown away by the next ``take``."""
        lane, self._lane = self._lane, None
        if lane is None:
            await self._stack.aclose()
            self._stack = AsyncExitStack()
            lane = await self._stack.enter_async_context(self.new())
            self._baseline = await _at_rest(lane)
        return lane, self._baseline

    def keep(self, lane: Lane) -> None:
        """The cell went well: the next one may use the lane."""
        self._lane = lane

    def new(self, limits: LaneLimits | None = None) -> Lane:
        """Another lane, to be entered by the caller."""
        self._made += 1
        directory = self._directory / str(self._made)
        directory.mkdir()
        return Lane(directory, limits)

    async def close(self) -> None:
        """End the processes."""
        await self._stack.aclose()


async def _at_rest(lane: Lane) -> Vitals:
    """What the lane holds after everything has been used once: imports, threads, database connections."""
    for key, column in (("store_closes_idle", Column.GETS), ("store_closes_idle", Column.UPLOAD), ("rst", Column.POST)):
        await strike(lane, BY_KEY[key], column)
    return await settled(lane)
