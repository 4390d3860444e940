"""The service manager's end of sd_notify(3): a datagram socket, at a path or abstract, and what was said to it."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

Message = dict[str, str]


class NotifyListener:
    """``address`` is what ``NOTIFY_SOCKET`` says; without ``directory`` the socket is an abstract one."""

    def __init__(self, directory: Path | None = None) -> None:
        self.address = str(directory / "notify") if directory is not None else f"@notify-{uuid.uuid4()}"
        self.messages: list[Message] = []
        self._changed = asyncio.Condition()

    def environ(self, watchdog_s: float | None = None) -> dict[str, str]:
        """What the manager puts into the service's environment."""
        watchdog = {} if watchdog_s is None else {"WATCHDOG_USEC": str(round(watchdog_s * 1e6))}
        return {"NOTIFY_SOCKET": self.address, **watchdog}

    async def __aenter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.address.replace("@", "\0", 1) if self.address.startswith("@") else self.address)
        self._reading = asyncio.create_task(self._read(), name="notify-manager")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._socket.close()

    def said(self, name: str) -> list[str]:
        """Every value of ``name`` so far."""
        return [message[name] for message in self.messages if name in message]

    async def message(self, matches: Callable[[Message], bool], after: int = 0) -> int:
        """Wait for a message that matches, after the first ``after`` ones; its place."""
        found: list[int] = []

        def there() -> bool:
            found[:] = [place for place, said in enumerate(self.messages) if place >= after and matches(said)]
            return bool(found)

        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(there)
        return found[0]

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            datagram = await loop.sock_recv(self._socket, 8192)
            async with self._changed:
                self.messages.append(dict(line.split("=", 1) for line in datagram.decode().split("\n")))
                self._changed.notify_all()
