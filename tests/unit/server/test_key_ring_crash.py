"""A process that is killed while it rotates the keys: whatever the moment, everything opens afterwards."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from agent.server.vault import KeyRing
from tests.kit.control_plane import API_KEY, control_api
from tests.kit.dying_rotation import MOMENTS
from tests.kit.postgres import new_database

CONNECTIONS = 4
OLD, NEW = 1, 2


@pytest.mark.parametrize(
    ("moment", "kind"), [*((moment, "sqlite") for moment in MOMENTS), ("half sealed", "postgresql")]
)
async def test_kill_in_the_middle_of_a_rotation(tmp_path: Path, moment: str, kind: str) -> None:
    data_dir = tmp_path / "data"
    url = await new_database() if kind == "postgresql" else None
    async with control_api(data_dir, database_url=url) as api:
        for number in range(CONNECTIONS):
            await api.connection(f"Shop {number}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.kit.dying_rotation", str(data_dir), moment), *([url] if url else [])
    )
    assert await process.wait() == -signal.SIGKILL
    assert KeyRing.parse((data_dir / "key-ring").read_text(), "file").current == NEW
    async with control_api(data_dir, database_url=url) as api:
        _, report = await api.call("GET", "maintenance/keys")
        sealed_by_new = CONNECTIONS if moment == "committed" else 0  # all of them, or none
        assert report["sealed"] == {str(OLD): CONNECTIONS - sealed_by_new, str(NEW): sealed_by_new}
        assert report["lost"] == 0
        for each in (await api.call("GET", "connections"))[1]:
            route = api.plane.live.route(each["id"])
            assert route is not None
            assert route.api_key == API_KEY
