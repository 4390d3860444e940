"""Serves the panel and the control API on a TCP port, with TLS where the settings have it."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Sequence
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from agent.errors import StartError
from agent.server.addresses import why_not_listening
from agent.server.prompt_protocol import PromptProtocol
from agent.server.uvicorn_server import EmbeddedUvicorn

_BACKLOG: Final = 256
_CONNECTIONS_MAX: Final = 512
_HEAD_MAX_BYTES: Final = 32 * 1024
_KEPT_ALIVE_S: Final = 30
_GRACE_S: Final = 2
WHOLE_REQUEST_S: Final = 20.0
"""From the connection, or the first byte of a later request, to the last byte of the body."""


class PanelServer:
    """One listener for browsers and programs; ``close`` ends what streams.

    ``called`` names it in errors, with the option and the setting of its address.
    """

    def __init__(
        self,
        app: ASGIApp,
        tls: ssl.SSLContext | None,
        *,
        whole_request_s: float = WHOLE_REQUEST_S,
        called: tuple[str, str, str] = ("The panel", "--panel-listen", "panel.listen"),
    ) -> None:
        self._tls = tls
        self._called = called
        config = uvicorn.Config(
            app,
            http=functools.partial(PromptProtocol, whole_request_s=whole_request_s),  # type: ignore[arg-type] # it is called
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # only proxies that were named are believed: see `trusted_proxies`
            limit_concurrency=_CONNECTIONS_MAX,
            timeout_keep_alive=_KEPT_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=_HEAD_MAX_BYTES,
        )
        config.load()
        config.ssl = tls
        self._server = EmbeddedUvicorn(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def is_serving(self) -> bool:
        """True while it answers."""
        return self._task is not None and not self._task.done()

    async def start(self, host: str, port: int, passed: Sequence[socket.socket] = ()) -> int:
        """Listen there, or on the sockets that were passed on; the port. Raises StartError."""
        sockets = list(passed) or [self._open(host, port)]
        self._task = asyncio.create_task(self._server.serve(sockets=sockets), name=self._called[2])
        listening: int = sockets[0].getsockname()[1]
        return listening

    async def close(self) -> None:
        """Answer what was asked, for a moment, then leave."""
        if self._task is not None:
            self._server.should_exit = True
            await self._task
            self._task = None

    def _open(self, host: str, port: int) -> socket.socket:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
                0
            ]
            return socket.create_server((str(address[0]), port), family=family, backlog=_BACKLOG, reuse_port=False)
        except OSError as error:
            name, option, setting = self._called
            raise StartError(why_not_listening(name, host, port, error, option=option, setting=setting)) from None
