"""uvicorn inside this process: its signals are left to the composition root."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import uvicorn


class EmbeddedUvicorn(uvicorn.Server):
    """Leaves the process's signals alone: ending is decided by the composition root."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, without handlers."""
        yield
