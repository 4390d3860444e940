"""Tests of connections on pages: a run as it goes, whose it is, and what becomes of runs that nobody watches."""

from __future__ import annotations

import asyncio
import re

import pytest

from agent.doctor.answer import ProbeAnswer
from agent.server.operations.failures import InvalidError
from agent.server.operations.test_progress import BROKEN_OFF, FAILED
from agent.server.panel.test_runs import KEPT_MAX, TestRuns
from agent.server.routes import Route
from tests.kit.control_plane import API_KEY, ControlApi
from tests.kit.panel import Panel

LISTING = b'<prestashop><api><products get="true" head="true" post="false"/></api></prestashop>'
FORM = {"name": "x", "mode": "cloud", "store_url": "https://h.example/api/", "verify_tls": "on", "methods": ["GET"]}


@pytest.fixture
def may_answer(api: ControlApi) -> asyncio.Event:
    """The store of every connection answers once this is set."""
    event = asyncio.Event()

    async def exchange(_route: Route, _rest: bytes) -> ProbeAnswer:
        await event.wait()
        return ProbeAnswer(200, ((b"PSWS-Version", b"8.2.4"),), LISTING, elapsed_s=0.01)

    api.plane.exchange = exchange
    return event


async def test_a_run_is_followed_by_its_page_and_by_nobody_else(
    panel: Panel, api: ControlApi, may_answer: asyncio.Event
) -> None:
    await api.connection()
    begun = await panel.post("/connections/shop-lyon/test", {}, "editor", hx_request="true")
    found = re.search(r'hx-get="(/test-runs/[\w-]+)"', begun.text)
    assert found is not None
    assert "Mode Cloud uses no agent" in (await panel.get(found[1], "editor")).text
    assert "is not known any more" in (await panel.get(found[1], "admin")).text
    may_answer.set()
    async with asyncio.timeout(10):
        while found[1] in (page := (await panel.get(found[1], "editor")).text):
            pass  # each answer is a turn of the loop in which the test goes on
    assert "PrestaShop 8.2.4" in page
    assert "in all" in page


async def test_without_scripts_the_answer_comes_when_it_is_over(
    panel: Panel, api: ControlApi, may_answer: asyncio.Event
) -> None:
    await api.connection()
    may_answer.set()
    answer = await panel.post("/connections/shop-lyon/test", {}, "editor")
    assert (answer.status, answer.fields["location"]) == (303, "/connections/shop-lyon")
    assert (await api.call("GET", "connections/shop-lyon/tests"))[1][0]["verdict"] == "ok"
    tried = await panel.post("/connections/try", FORM | {"api_key": API_KEY}, "editor")
    assert "PrestaShop 8.2.4" in tried.text
    assert API_KEY not in tried.text
    assert "the test needs it" in (await panel.post("/connections/try", FORM, "editor")).text


async def test_runs_that_nobody_asks_for_are_broken_off_and_forgotten() -> None:
    runs = TestRuns()
    never = asyncio.Event()

    async def check(_on_step: object) -> object:
        return await never.wait()

    first = await runs.start("anne", check)  # type: ignore[arg-type] # it has no end
    for _ in range(KEPT_MAX):
        last = await runs.start("anne", check)  # type: ignore[arg-type] # nor these
    assert (runs.find(first.id, "anne"), first.failure, first.is_over) == (None, BROKEN_OFF, True)
    assert runs.find(last.id, "anne") is last
    assert runs.find(last.id, "bob") is None
    for run in runs._runs.values():
        assert run.progress is not None
        await run.progress.cancel()


@pytest.mark.parametrize(("error", "said"), [(InvalidError("No such."), "No such."), (ValueError("CANARY"), FAILED)])
async def test_a_run_that_fails_says_so(error: Exception, said: str) -> None:
    async def check(_on_step: object) -> object:
        raise error

    run = await TestRuns().start("anne", check)  # type: ignore[arg-type] # it has no outcome
    await run.wait()
    assert (run.failure, run.report, run.is_over) == (said, None, True)
