"""The admin socket: the control API on a Unix socket that only the server's own user can open."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from agent.server.uvicorn_server import EmbeddedUvicorn
from agent.unix_socket import PrivateSocket

_BACKLOG: Final = 64


class AdminSocket:
    """Serves ``app`` on ``path``, mode 0600. The caller holds the data directory, so a leftover file is removed."""

    def __init__(self, app: ASGIApp, path: Path) -> None:
        self.path = path
        self._socket = PrivateSocket(
            path, what="The admin socket", program="integration-server", setting="admin_socket"
        )
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2, ws="none"
        )
        self._server = EmbeddedUvicorn(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """Connections of commands that are open now."""
        return len(self._server.server_state.connections)

    @property
    def is_serving(self) -> bool:
        """True while it answers."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Listen. Raises StartError when the path is too long, not writable, or served by a living process."""
        listening = self._socket.listen(_BACKLOG)
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]), name="admin-socket")

    async def close(self) -> None:
        """Answer what was asked, then remove the socket."""
        self._socket.remove()
        if self._task is not None:
            self._server.should_exit = True
            await self._task
            self._task = None
