"""Fixtures for tests of the demo."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agent.demo.store import SampleStore
from tests.kit.sample_store import running


@pytest.fixture
async def store() -> AsyncIterator[SampleStore]:
    """A sample store of its own, started."""
    async with running() as started:
        yield started
