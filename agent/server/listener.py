"""The forward of store:80 that an agent asks for: channels are opened by the gateway, no socket listens for it."""

from __future__ import annotations

from collections.abc import Callable

import asyncssh


class VirtualListener(asyncssh.SSHListener):
    """What ``server_requested`` grants; ``on_close`` is called once, when the agent takes it back or leaves."""

    def __init__(self, on_close: Callable[[], None]) -> None:
        super().__init__()
        self._on_close: Callable[[], None] | None = on_close

    def close(self) -> None:
        """``cancel-tcpip-forward`` came, or the connection ended."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()
