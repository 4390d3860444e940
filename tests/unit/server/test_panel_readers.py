"""Who does not read what the panel answers."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.server.panel_server import PanelServer
from tests.unit.server.test_panel_server import QUICKLY_S


async def test_who_does_not_read_the_answer_is_not_waited_for() -> None:
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(32):  # more than the buffers of a connection hold
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        ended.set()

    server = PanelServer(app, None, stall_s=QUICKLY_S)
    port = await server.start("127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(10):
        await ended.wait()
    writer.close()
    await server.close()
