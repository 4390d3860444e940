"""Few tests at once: who must wait, who is turned away with what sentence, and that nobody leaves a place taken."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.doctor.answer import ProbeAnswer
from agent.server.operations.api_tokens import create_api_token
from agent.server.operations.failures import ConflictError
from agent.server.operations.principal import Principal, Role
from agent.server.operations.test_places import AT_ONCE_MAX, WAIT_MAX_S, TestPlaces
from agent.server.registry import Registry
from agent.server.routes import Route
from tests.kit.control_plane import API_KEY, control_api
from tests.kit.panel import Panel, panel_of


class Visit:
    """Somebody who takes a place and keeps it until told to go."""

    def __init__(self, places: TestPlaces, connection_id: str) -> None:
        self.inside = asyncio.Event()
        self.leave = asyncio.Event()
        self._places = places
        self._id = connection_id
        self.task = asyncio.create_task(self._visit())

    async def _visit(self) -> None:
        async with self._places.one(self._id):
            self.inside.set()
            await self.leave.wait()


@contextlib.asynccontextmanager
async def visits(places: TestPlaces, *connection_ids: str) -> AsyncIterator[list[Visit]]:
    """All of them inside; they leave at the end."""
    found = [Visit(places, each) for each in connection_ids]
    try:
        for visit in found:
            await asyncio.wait_for(visit.inside.wait(), 5)
        yield found
    finally:
        for visit in found:
            visit.task.cancel()
        await asyncio.gather(*(visit.task for visit in found), return_exceptions=True)


FULL = [f"c{number}" for number in range(AT_ONCE_MAX)]


async def test_a_connection_is_tested_once_at_a_time_and_again_afterwards() -> None:
    places = TestPlaces()
    async with visits(places, "one"):
        with pytest.raises(ConflictError, match="is being tested right now: wait for the outcome"):
            async with places.one("one"):
                raise AssertionError("two tests of one connection")
        async with visits(places, "other"):
            pass
    async with visits(places, "one"):
        pass


async def test_connections_that_are_not_saved_do_not_stand_in_each_others_way() -> None:
    async with visits(TestPlaces(), "", ""):
        pass


async def test_the_fifth_waits_for_a_place_and_gets_the_first_that_is_free() -> None:
    places = TestPlaces()
    assert AT_ONCE_MAX == 4
    async with visits(places, *FULL) as inside:
        fifth = Visit(places, "fifth")
        await asyncio.sleep(0)
        assert not fifth.inside.is_set()
        inside[2].leave.set()
        await asyncio.wait_for(fifth.inside.wait(), 5)
        fifth.leave.set()
        await fifth.task


async def test_who_waits_in_vain_is_told_so_and_may_come_again() -> None:
    places = TestPlaces(wait_max_s=0.05)
    async with visits(places, *FULL) as inside:
        for _ in range(2):  # the second is not told that the first still runs
            with pytest.raises(ConflictError, match=r"4 tests at once, .* within 0.05 s: test again in a minute"):
                async with places.one("fifth"):
                    raise AssertionError("a fifth test at once")
        inside[0].leave.set()
        await inside[0].task
        async with visits(places, "fifth"):
            pass
    assert WAIT_MAX_S == 60


@pytest.mark.parametrize("is_inside", [True, False], ids=["inside", "waiting"])
async def test_who_leaves_in_the_middle_leaves_no_place_taken(is_inside: bool) -> None:
    places = TestPlaces()
    async with visits(places, *FULL[1:]):
        for _ in range(3):
            first = Visit(places, "one")
            await asyncio.wait_for(first.inside.wait(), 5)
            waiting = Visit(places, "two")
            await asyncio.sleep(0)
            gone, stays = (first, waiting) if is_inside else (waiting, first)
            gone.task.cancel()
            await asyncio.gather(gone.task, return_exceptions=True)
            stays.leave.set()
            await asyncio.wait_for(stays.task, 5)
            async with visits(places, "one"):
                pass


# -- over the API -----------------------------------------------------------------------------------------------------


class Held:
    """Stands for the gateway's internal exchange: asks nobody until told to; ``ended`` counts those broken off."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.ended = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()

    async def __call__(self, route: Route, rest: bytes) -> ProbeAnswer:
        self.asked.release()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.ended.release()
            raise
        return ProbeAnswer(503, body=b"<errors><error><code>22</code></error></errors>")


@pytest.mark.parametrize("saved", [True, False], ids=["saved", "unsaved"])
async def test_a_caller_who_hangs_up_ends_the_test_and_frees_its_place(tmp_path: Path, saved: bool) -> None:
    held = Held()
    async with control_api(tmp_path / "data", exchange=held, registry=Registry()) as api, panel_of(api) as panel:
        await api.connection()
        asker = Principal("person:admin", Role.ADMIN)
        token = (await create_api_token(api.plane, asker, name="t", role=Role.ADMIN, scopes=None)).secret
        wish = {"name": "x", "mode": "cloud", "store_url": "https://h.example/api/", "api_key": API_KEY}
        path, body = ("connections/shop-lyon/test", None) if saved else ("connections/test", wish)
        for _ in range(AT_ONCE_MAX + 1):  # more often than there are places
            writer = await _begin(panel, path, token, body)
            await asyncio.wait_for(held.asked.acquire(), 5)
            if saved:
                refused = await panel.call("POST", path, token)
                assert (refused.status, "right now" in refused.json["detail"]) == (409, True)
            writer.close()
            await asyncio.wait_for(held.ended.acquire(), 5)
        held.go_on.set()
        answer = await panel.call("POST", path, token, body)
        assert (answer.status, answer.json["verdict"]) == (200, "webservice_off")
        _, kept = await api.call("GET", "connections/shop-lyon/tests")
        assert len(kept) == (1 if saved else 0)


async def _begin(panel: Panel, path: str, token: str, body: object) -> asyncio.StreamWriter:
    """Ask, and wait for no answer."""
    content = b"" if body is None else json.dumps(body).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", panel.port)
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:{panel.port}\r\nAuthorization: Bearer {token}\r\n"
    fields = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write((head + fields).encode() + content)
    await writer.drain()
    return writer
