"""Fixtures for tests of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.control_plane import ControlApi, control_api
from tests.kit.postgres import new_database
from tests.kit.server_cli import ServerCli


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> ServerCli:
    """The commands on a data directory that does not exist yet."""
    return ServerCli(tmp_path / "data", monkeypatch, capsys)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest) -> str | None:
    """Each kind of database in turn: None is the file in the data directory."""
    return await new_database() if request.param == "postgresql" else None


@pytest.fixture
async def api(tmp_path: Path, database_url: str | None) -> AsyncIterator[ControlApi]:
    """The control API on a data directory and a database of its own, without gateway and tunnels."""
    async with control_api(tmp_path / "data", database_url=database_url) as opened:
        yield opened
