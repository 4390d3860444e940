"""What runs when a fault strikes: one load for each column, brought to a known point and then let go on."""

from __future__ import annotations

import asyncio

from tests.faults.caller import Caller, Seen
from tests.faults.expectation import Column
from tests.faults.lane import CONCURRENCY, Lane
from tests.faults.ledger import Verb, Wish

SMALL_BYTES = 64
POST_BYTES = 200
GETS = 64


class Load:
    """The requests of one column. ``begin``, ``until_midway``, then ``finish``."""

    def __init__(self, lane: Lane, column: Column, bulk_bytes: int, *, held: bool = True) -> None:
        self._lane = lane
        self._column = column
        self._bulk_bytes = bulk_bytes
        self._callers: list[Caller] = []
        verb: Verb = "plain" if not held or column is Column.UPLOAD else "half" if column is Column.DOWNLOAD else "hold"
        size_bytes = bulk_bytes if column is Column.DOWNLOAD else SMALL_BYTES
        many = {Column.IDLE: 0, Column.GETS: GETS}.get(column, 1)
        self.wishes: tuple[Wish, ...] = tuple(lane.wish(verb, size_bytes) for _ in range(many))

    async def begin(self) -> None:
        """Send: an upload up to its half, everything else whole."""
        self._callers = list(await asyncio.gather(*(self._lane.call(wish) for wish in self.wishes)))
        for caller in self._callers:
            caller.send(self._request(caller.wish))

    async def until_midway(self) -> None:
        """Wait until the store has every request (half of an upload), and the client half of a download."""
        stage = "half" if self._column is Column.UPLOAD else "whole"
        nonces = {wish.nonce for wish in self.wishes}
        if nonces:
            await self._lane.store.event(
                lambda event: event["event"] == "request" and event["stage"] == stage and event["nonce"] in nonces,
                count=min(len(nonces), CONCURRENCY),
            )
        if self._column is Column.DOWNLOAD:
            await asyncio.gather(*(caller.received(self._bulk_bytes // 2) for caller in self._callers))

    async def finish(self) -> list[Seen]:
        """Send what is left, let the store answer, and see what comes."""
        await self._lane.store.ask("release")
        if self._column is Column.UPLOAD:
            for caller in self._callers:
                caller.send(self._lane.body(caller.wish, self._bulk_bytes)[self._bulk_bytes // 2 :])
        return list(await asyncio.gather(*(caller.seen() for caller in self._callers)))

    async def leave(self) -> list[Seen]:
        """Every client goes, as it stands."""
        for caller in self._callers:
            caller.leave()
        return [await caller.seen() for caller in self._callers]

    def _request(self, wish: Wish) -> bytes:
        lane = self._lane
        if not self._column.is_write:
            return lane.head(wish)
        size_bytes = self._bulk_bytes if self._column is Column.UPLOAD else POST_BYTES
        body = lane.body(wish, size_bytes)
        sent = body[: size_bytes // 2] if self._column is Column.UPLOAD else body
        return lane.head(wish, size_bytes) + sent
