"""Fixtures for tests of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.control_plane import ControlApi, control_api
from tests.kit.server_cli import ServerCli


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> ServerCli:
    """The commands on a data directory that does not exist yet."""
    return ServerCli(tmp_path / "data", monkeypatch, capsys)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ControlApi]:
    """The control API on a data directory of its own, without gateway and tunnels."""
    async with control_api(tmp_path / "data") as opened:
        yield opened
