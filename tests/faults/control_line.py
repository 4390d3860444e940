"""The control connection of a process of the matrix: commands on standard input, answers and events on standard output.

One JSON object per line. End of standard input ends the process, so that none outlives the run that started it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Command = Callable[..., Awaitable[Any]]


class ControlLine:
    """The process's side: runs ``commands`` by name, one after another, and tells events as they happen."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands

    def tell(self, event: str, **fields: Any) -> None:
        """Say that something happened; ``at`` is CLOCK_MONOTONIC, the same in all processes of one machine."""
        self._write({"event": event, "at": time.monotonic(), **fields})

    async def run(self) -> None:
        """Until standard input ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 20)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(sys.stdin.fileno(), "rb"))
        self.tell("started", pid=os.getpid())
        while line := await reader.readline():
            asked = json.loads(line)
            number, name = asked.pop("id"), asked.pop("do")
            try:
                self._write({"id": number, "answer": await self._commands[name](**asked)})
            except (OSError, ValueError, TypeError, KeyError) as error:
                self._write({"id": number, "error": f"{name}: {type(error).__name__}: {error}"})

    def _write(self, message: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
