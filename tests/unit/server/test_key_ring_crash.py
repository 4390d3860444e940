"""A server that is killed while it rotates its keys opens everything when it is started again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.server.vault import KeyRing
from tests.kit.control_plane import API_KEY, control_api
from tests.kit.server_process import ServerProcess

CONNECTIONS = 150  # sealing that many takes long enough to be hit


async def rotate_for_ever(server: ServerProcess) -> None:
    with contextlib.suppress(AgentError, OSError):
        while True:
            await server.api("post", "maintenance", "keys", "rotate")


@pytest.mark.slow
async def test_kill_in_the_middle_of_a_rotation(tmp_path: Path, database_url: str | None) -> None:
    data_dir = tmp_path / "data"
    async with control_api(data_dir, database_url=database_url) as api:
        for number in range(CONNECTIONS):
            await api.connection(f"Shop {number}")
    environment = {"INTEGRATION_SERVER_DATABASE_URL": database_url} if database_url else {}
    unfinished = 0
    for after_s in (0.02, 0.07, 0.15):
        async with ServerProcess(data_dir, environment=environment) as server:
            ring_before = (data_dir / "key-ring").read_bytes()
            rotating = asyncio.create_task(rotate_for_ever(server))
            async with asyncio.timeout(20):
                while (data_dir / "key-ring").read_bytes() == ring_before:  # noqa: ASYNC110 - a file has no event
                    await asyncio.sleep(0.001)
            await asyncio.sleep(after_s)
            await server.stop(signal.SIGKILL)
            rotating.cancel()
            await asyncio.gather(rotating, return_exceptions=True)
        on_disk = KeyRing.parse((data_dir / "key-ring").read_text(), "file")
        async with control_api(data_dir, database_url=database_url) as api:
            _, report = await api.call("GET", "maintenance/keys")
            assert (report["lost"], sum(report["sealed"].values())) == (0, CONNECTIONS)
            unfinished += report["sealed"][str(on_disk.current)] == 0
            (route,) = {api.plane.live.route(each["id"]) for each in (await api.call("GET", "connections?limit=1"))[1]}
            assert route is not None
            assert route.api_key == API_KEY
    assert unfinished, "no kill came between the ring and the envelopes: shorten the pauses"
