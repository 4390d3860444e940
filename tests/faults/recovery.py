"""How long until a plain GET succeeds again."""

from __future__ import annotations

import asyncio

from tests.faults.lane import Lane

_PAUSE_S = 0.02


async def recovery_s(lane: Lane, within_s: float) -> float:
    """Seconds from now until the first plain GET that was answered whole by the store.

    One attempt is enough wherever the gateway is there to keep it waiting; only where a connection is refused, or
    broken by the end of the server itself, is there another one. Raises ``TimeoutError``, and ``AssertionError`` for
    any other answer than the store's.
    """
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    async with asyncio.timeout(within_s):
        while True:
            try:
                caller = await lane.call(lane.wish("plain"))
            except ConnectionError:
                await asyncio.sleep(_PAUSE_S)  # a refused connection has no event that says when it would not be
                continue
            caller.send(lane.head(caller.wish))
            seen = await caller.seen()
            if seen.how in ("reset", "eof") and not seen.status:
                continue
            assert seen.how == "whole" and seen.status == 200 and not seen.error and seen.is_right, seen
            return loop.time() - began_at


async def read(lane: Lane) -> None:
    """One plain GET that must succeed."""
    caller = await lane.call(lane.wish("plain"))
    caller.send(lane.head(caller.wish))
    seen = await caller.seen()
    assert seen.how == "whole" and seen.status == 200 and not seen.error and seen.is_right, seen
