"""The admin socket: the control API on a Unix socket that only the server's own user can open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from agent.errors import StartError
from agent.server.addresses import SOCKET_PATH_MAX_BYTES


class _Uvicorn(uvicorn.Server):
    """Leaves the process's signals alone: ending is decided by the composition root."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AdminSocket:
    """Serves ``app`` on ``path``, mode 0600. The caller holds the data directory, so a leftover file is removed."""

    def __init__(self, app: ASGIApp, path: Path) -> None:
        self.path = path
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2, ws="none"
        )
        self._server = _Uvicorn(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises StartError when the path is too long, not writable, or served by a living process."""
        listening = _bind(self.path)
        try:
            listening.listen(64)  # before the task runs: from here on a command's connection waits instead of failing
        except OSError:
            listening.close()
            raise
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]), name="admin-socket")

    async def close(self) -> None:
        """Answer what was asked, then remove the socket."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        if self._task is not None:
            self._server.should_exit = True
            await self._task
            self._task = None


def _bind(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
        raise StartError(
            f"The admin socket's path {path} is longer than the {SOCKET_PATH_MAX_BYTES} bytes that Linux allows: name "
            "a shorter one with admin_socket in the settings."
        )
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(0o077)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.umask(0o177)  # the socket is born 0600: there is no moment in which others can connect
        if path.is_socket():
            if _is_served(path):
                raise StartError(
                    f"Another integration-server answers on the admin socket {path}: stop it, or give this one its "
                    "own with admin_socket in the settings."
                )
            path.unlink()
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise StartError(
            f"The admin socket {path} cannot be made ({error.strerror}): give the directory to the user that runs "
            "integration-server, or name another one with admin_socket in the settings."
        ) from None
    except BaseException:  # nobody else knows this socket yet
        listening.close()
        raise
    finally:
        os.umask(old_mask)
    return listening


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
