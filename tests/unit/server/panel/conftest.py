from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.control_plane import ControlApi, control_api
from tests.kit.panel import Panel, let_everybody_in, panel_of


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ControlApi]:
    """On SQLite alone: what the pages ask of the database is asked of both kinds by the tests of the API."""
    async with control_api(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def panel(api: ControlApi) -> AsyncIterator[Panel]:
    """The panel, with a person of each role."""
    async with panel_of(api) as panel:
        await let_everybody_in(panel)
        yield panel
