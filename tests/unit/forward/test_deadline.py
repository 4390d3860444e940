"""A deadline fires once, at the time that was set last."""

from __future__ import annotations

import asyncio

from agent.forward.deadline import Deadline

UNIT_S = 0.02


class Fired:
    """Counts and can be waited for."""

    def __init__(self) -> None:
        self.count = 0
        self.event = asyncio.Event()
        self.at = 0.0

    def __call__(self) -> None:
        self.count += 1
        self.at = asyncio.get_running_loop().time()
        self.event.set()


async def test_it_fires_once() -> None:
    fired = Fired()
    loop = asyncio.get_running_loop()
    deadline = Deadline(loop, fired)
    began = loop.time()
    deadline.set(UNIT_S)
    await asyncio.wait_for(fired.event.wait(), 5)
    assert fired.at - began >= UNIT_S * 0.9
    await asyncio.sleep(2 * UNIT_S)
    assert fired.count == 1


async def test_it_can_be_moved_later_and_earlier() -> None:
    fired = Fired()
    loop = asyncio.get_running_loop()
    deadline = Deadline(loop, fired)
    deadline.set(UNIT_S)
    deadline.set(4 * UNIT_S)
    began = loop.time()
    await asyncio.wait_for(fired.event.wait(), 5)
    assert fired.at - began >= 3.5 * UNIT_S
    fired.event.clear()
    deadline.set(1000)
    deadline.set(UNIT_S)
    await asyncio.wait_for(fired.event.wait(), 5)
    assert fired.count == 2


async def test_cleared_or_closed_it_stays_silent() -> None:
    cleared, closed = Fired(), Fired()
    loop = asyncio.get_running_loop()
    one, other = Deadline(loop, cleared), Deadline(loop, closed)
    for deadline in (one, other):
        deadline.set(UNIT_S)
    one.clear()
    other.close()
    await asyncio.sleep(3 * UNIT_S)
    assert (cleared.count, closed.count) == (0, 0)
    one.set(UNIT_S)
    await asyncio.wait_for(cleared.event.wait(), 5)
