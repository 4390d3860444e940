"""The server tests by itself what is enabled and can be reached, keeps the outcome, and survives one bad test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from agent.doctor.answer import ProbeAnswer
from agent.server.operations.paging import Paging
from agent.server.operations.retest import Retest
from agent.server.operations.test_history import TestRecord, list_tests
from agent.server.registry import Registry
from agent.server.routes import Route
from tests.kit.control_plane import ControlApi, control_api

TICK_S = 0.005


class OneByOne:
    """Stands for the gateway's internal exchange: fails for one connection, tells of every other that was asked."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.asked: list[str] = []
        self.again = asyncio.Event()

    async def __call__(self, route: Route, rest: bytes) -> ProbeAnswer:
        self.asked.append(route.slug)
        self.again.set()
        if route.slug == self.broken:
            raise RuntimeError("a defect")
        return ProbeAnswer(503, body=b"<errors><error><code>22</code></error></errors>")

    async def asked_for(self, *slugs: str) -> None:
        async with asyncio.timeout(20):
            while not set(slugs) <= set(self.asked):
                self.again.clear()
                await self.again.wait()


@contextlib.asynccontextmanager
async def retesting(api: ControlApi, interval_s: float, now: list[float]) -> AsyncIterator[Retest]:
    retest = Retest(api.plane, interval_s, uniform=lambda: 0.0, clock=lambda: now[0], tick_s=TICK_S)
    running = asyncio.create_task(retest.run())
    try:
        yield retest
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def history(api: ControlApi, connection_id: str) -> tuple[TestRecord, ...]:
    return (await list_tests(api.plane, connection_id, Paging())).items


async def test_what_is_enabled_is_tested_and_kept_and_a_defect_stays_alone(tmp_path: Path) -> None:
    exchange = OneByOne("broken")
    async with control_api(tmp_path / "data", exchange=exchange, registry=Registry()) as api:
        made = {name: (await api.connection(name))["id"] for name in ("Broken", "Good", "Off", "Late")}
        await api.call("POST", "connections/off/disable")
        now = [1000.0]
        async with retesting(api, 3600.0, now):
            await exchange.asked_for("broken", "good", "late")
            async with asyncio.timeout(20):
                while not (await history(api, made["Good"]) and await history(api, made["Late"])):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(TICK_S)
        (test,) = await history(api, made["Good"])
        assert (test.cause, test.report.ok) == ("schedule", False)
        assert await history(api, made["Broken"]) == ()
        assert await history(api, made["Off"]) == ()
        assert "off" not in exchange.asked


async def test_a_connection_whose_agent_is_away_is_left_alone(tmp_path: Path) -> None:
    exchange = OneByOne()
    async with control_api(tmp_path / "data", exchange=exchange, registry=Registry()) as api:
        await api.agent()
        away = await api.connection("Away", mode="on-premise", agent="warehouse")
        good = await api.connection("Good")
        now = [1000.0]
        async with retesting(api, 3600.0, now), asyncio.timeout(20):
            for number in (1, 2, 3):  # the one that is away is due as often, and would be done first
                while len(await history(api, good["id"])) < number:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(TICK_S)
                now[0] += 4000.0
        assert await history(api, away["id"]) == ()
