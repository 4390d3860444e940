"""Streams of pages: not more than there may be, however many ask at once, and none for who may look no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from fastapi import Request
from starlette.types import Message

from agent.server.operations.people import set_person_enabled
from agent.server.operations.sessions import Session, find_session
from agent.server.panel import live
from agent.server.panel.visitor import Visitor
from agent.server.panel_gate import SESSION_COOKIE, principal_of
from tests.kit.panel import ADMIN, Panel
from tests.kit.until import until


@contextlib.asynccontextmanager
async def stream(panel: Panel, who: str, path: str = "/overview/live") -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which the stream is asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", panel.port)
    try:
        cookie = f"{SESSION_COOKIE}={panel.cookies[who]}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
        yield reader
    finally:
        writer.close()


async def status_of(reader: asyncio.StreamReader) -> int:
    """Of the answer, its fields read."""
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
    return int(head.split()[1])


def visitor_of(panel: Panel, session: Session) -> Visitor:
    """Somebody at the request of a stream."""
    cookie = f"{SESSION_COOKIE}={panel.cookies['viewer']}".encode()
    request = Request({"type": "http", "method": "GET", "path": "/live", "headers": [(b"cookie", cookie)]})
    return Visitor(request, panel.api.plane, session, principal_of(session))


async def test_those_that_ask_at_once_are_not_all_let_in(panel: Panel) -> None:
    session = await find_session(panel.api.plane, panel.cookies["viewer"])
    assert session is not None
    statuses: list[int] = []

    async def render() -> str:
        return "<p>now</p>"

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    # All are answered before the first one is sent.
    answers = [live.live_fragment(visitor_of(panel, session), render) for _ in range(live.PER_SESSION_MAX + 3)]
    scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
    running = [asyncio.create_task(answer(scope, receive, send)) for answer in answers]
    await until(lambda: len(statuses) == len(answers))
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert sorted(statuses) == [200] * live.PER_SESSION_MAX + [204] * 3
    async with stream(panel, "viewer") as reader:
        assert await status_of(reader) == 200


async def test_who_left_takes_no_place(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EVERY_S", 0.02)
    async with asyncio.timeout(20):
        for _ in range(live.PER_SESSION_MAX + 1):
            while True:
                async with stream(panel, "viewer") as reader:
                    if await status_of(reader) == 200:
                        break


@pytest.mark.parametrize("what", ["disabled", "logged out"])
async def test_the_stream_of_who_may_look_no_more_ends_at_the_next_look(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    assert live.EVERY_S <= 2
    monkeypatch.setattr(live, "EVERY_S", 0.02)
    async with stream(panel, "viewer") as reader:
        assert await status_of(reader) == 200
        async with asyncio.timeout(5):
            await reader.readuntil(b"event: update")
            if what == "disabled":
                await set_person_enabled(panel.api.plane, ADMIN, "viewer", enabled=False)
            else:
                await panel.post("/logout", {}, "viewer")
            await reader.readuntil(b"0\r\n\r\n")  # the last chunk
