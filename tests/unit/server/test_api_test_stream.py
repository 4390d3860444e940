"""A connection test as a stream: each step as it is done, the report last, and nothing left when the asker leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.doctor.answer import ProbeAnswer
from agent.server.api import test_stream
from agent.server.api.in_process import call_in_process
from agent.server.operations.failures import ConflictError
from agent.server.routes import Route
from tests.kit.control_plane import API_KEY, control_api
from tests.kit.panel import Panel, panel_of

LISTING = b'<prestashop><api><products get="true" head="true" post="false"/></api></prestashop>'
SAVED = "/v1/connections/shop-lyon/test"
UNSAVED = {"name": "x", "mode": "cloud", "store_url": "https://shop.example.com/api/", "api_key": API_KEY}
LAYERS = ["agent", "policy", "dns", "tcp", "tls", "http", "webservice", "key", "permissions"]


class Store:
    """A webservice that answers when it may, and sees when nobody waits for it any more."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.was_asked = asyncio.Event()
        self.was_left = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self, _route: Route, _rest: bytes) -> ProbeAnswer:
        self.was_asked.set()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.was_left.set()
            raise
        if self.failure is not None:
            raise self.failure
        return ProbeAnswer(200, ((b"PSWS-Version", b"8.2.4"),), LISTING, elapsed_s=0.01)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def panel(tmp_path: Path, store: Store) -> AsyncIterator[Panel]:
    """On SQLite alone: nothing here is particular to a database."""
    async with control_api(tmp_path / "data", exchange=store) as api, panel_of(api) as opened:
        await api.connection()
        opened.cookies["token"] = (await api.created("api-tokens", name="ci", role="editor"))["secret"]
        yield opened


@contextlib.asynccontextmanager
async def streaming(panel: Panel, path: str = SAVED, body: object = None) -> AsyncIterator[asyncio.StreamReader]:
    """What follows the head of a stream that has begun."""
    content = json.dumps(body).encode() if body is not None else b""
    # HTTP/1.0 has no chunks: the events come bare, and the end of the connection is the end of the answer.
    head = (
        f"POST {path}?stream=true HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {panel.cookies['token']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", panel.port)
    try:
        writer.write(head.encode() + content)
        async with asyncio.timeout(10):
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert " 200 ok\r\n" in answer, answer
            assert "content-type: text/event-stream" in answer
            assert "x-accel-buffering: no" in answer
            yield reader
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def event_of(reader: asyncio.StreamReader) -> tuple[str, Any]:
    """The next event; comments are passed over."""
    while (text := (await reader.readuntil(b"\n\n")).decode()).startswith(":"):
        pass
    name, _, data = text.strip().partition("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize(("path", "body"), [(SAVED, None), ("/v1/connections/test", UNSAVED)])
async def test_each_step_comes_as_it_is_done_and_the_report_last(
    panel: Panel, store: Store, path: str, body: object
) -> None:
    async with streaming(panel, path, body) as reader:
        first = [await event_of(reader), await event_of(reader)]
        assert [(name, step["layer"]) for name, step in first] == [("step", "agent"), ("step", "policy")]
        assert not store.may_answer.is_set(), "the rest is not done yet"
        store.may_answer.set()
        steps = [step for _, step in first] + [(await event_of(reader))[1] for _ in LAYERS[2:]]
        name, report = await event_of(reader)
        assert await reader.read() == b""
    assert [step["layer"] for step in steps] == LAYERS
    assert (name, report["ok"], report["steps"]) == ("report", True, steps)
    assert report["permissions"] == {"products": ["GET", "HEAD"]}
    assert report["slug"] == ("shop-lyon" if path == SAVED else "")
    assert API_KEY not in json.dumps(report)
    whole = await panel.call("POST", path.removeprefix("/v1/"), panel.cookies["token"], body)
    assert set(whole.json) == set(report)
    history = (await panel.call("GET", "connections/shop-lyon/tests", panel.cookies["token"])).json
    assert history["total"] == (2 if path == SAVED else 0)


async def test_a_quiet_stream_shows_that_it_lives(panel: Panel, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_stream, "KEEP_ALIVE_S", 0.02)
    async with streaming(panel) as reader:
        assert [(await event_of(reader))[1]["layer"] for _ in range(2)] == LAYERS[:2]
        assert await reader.readuntil(b"\n\n") == b": \n\n"


@pytest.mark.parametrize("path", [SAVED, "/v1/connections/test"])
async def test_who_leaves_breaks_the_test_off_and_frees_its_place(panel: Panel, store: Store, path: str) -> None:
    async with streaming(panel, path, UNSAVED if path != SAVED else None):
        await store.was_asked.wait()
        refused = (
            await panel.call("POST", SAVED.removeprefix("/v1/"), panel.cookies["token"]) if path == SAVED else None
        )
    assert refused is None or (refused.status, "being tested right now" in refused.text) == (409, True)
    async with asyncio.timeout(10):
        await store.was_left.wait()
    store.may_answer.set()
    again = await panel.call("POST", SAVED.removeprefix("/v1/"), panel.cookies["token"])
    assert (again.status, again.json["ok"]) == (200, True)
    history = (await panel.call("GET", "connections/shop-lyon/tests", panel.cookies["token"])).json
    assert history["total"] == 1, "a test that was broken off tells nothing about the connection"


async def test_what_cannot_begin_is_a_problem_as_without_a_stream(panel: Panel, store: Store) -> None:
    token = panel.cookies["token"]
    store.may_answer.set()
    for path, body, status in (
        ("connections/none/test?stream=true", None, 404),
        ("connections/test?stream=true", UNSAVED | {"api_key": "short"}, 422),
        ("connections/test?stream=maybe", UNSAVED, 422),
    ):
        answer = await panel.call("POST", path, token, body)
        assert (answer.status, answer.fields["content-type"]) == (status, "application/problem+json"), path
    panel.api.plane.exchange = None  # no server runs here
    answer = await panel.call("POST", "connections/shop-lyon/test?stream=true", token)
    assert (answer.status, "integration-server serve" in answer.json["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("failure", "name", "detail"),
    [
        (ConflictError("The connection was deleted meanwhile."), "conflict", "The connection was deleted meanwhile."),
        (RuntimeError("CANARY"), "failed", "The test failed inside the server: its log says how."),
    ],
)
async def test_a_test_that_fails_in_the_middle_ends_with_a_problem(
    panel: Panel, store: Store, failure: Exception, name: str, detail: str
) -> None:
    store.failure = failure
    async with streaming(panel) as reader:
        assert [(await event_of(reader))[0] for _ in range(2)] == ["step", "step"]
        store.may_answer.set()
        kind, problem = await event_of(reader)
        assert (kind, problem["name"], problem["detail"]) == ("problem", name, detail)
        assert await reader.read() == b""


async def test_a_command_without_sockets_is_answered_to_the_end(tmp_path: Path, store: Store) -> None:
    store.may_answer.set()
    async with control_api(tmp_path / "data", exchange=store) as api, asyncio.timeout(10):
        await api.connection()
        status, answer = await call_in_process(api.app, "POST", f"{SAVED}?stream=true", {}, b"")
    assert (status, answer.count(b"event: step\n"), answer.count(b"event: report\n")) == (200, len(LAYERS), 1)


async def test_the_document_tells_of_both_ways(panel: Panel) -> None:
    document = panel.api.app.openapi()
    for path in ("/v1/connections/test", "/v1/connections/{reference}/test"):
        operation = document["paths"][path]["post"]
        assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
        assert "stream" in [parameter["name"] for parameter in operation["parameters"]]
