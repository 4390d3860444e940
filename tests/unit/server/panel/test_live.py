"""Streams of pages: not more than there may be, however many ask at once, and none for who may look no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from agent.server.operations.people import set_person_enabled
from agent.server.panel import live
from agent.server.panel_gate import SESSION_COOKIE
from tests.kit.panel import ADMIN, Panel


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


async def test_those_that_ask_at_once_are_not_all_let_in(panel: Panel) -> None:
    async with contextlib.AsyncExitStack() as opened:
        asked = [await opened.enter_async_context(stream(panel, "viewer")) for _ in range(live.PER_SESSION_MAX + 3)]
        answers = await asyncio.gather(*(status_of(reader) for reader in asked))
        assert sorted(answers) == [200] * live.PER_SESSION_MAX + [204] * 3
        async with stream(panel, "editor") as reader:
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
        async with asyncio.timeout(20):
            await reader.readuntil(b"event: update")
            if what == "disabled":
                await set_person_enabled(panel.api.plane, ADMIN, "viewer", enabled=False)
            else:
                await panel.post("/logout", {}, "viewer")
            await reader.readuntil(b"0\r\n\r\n")  # the last chunk
