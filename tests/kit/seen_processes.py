"""What everybody on a machine can see of the processes that a test starts: arguments and environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_LOOK_EVERY_S: Final = 0.01


class SeenProcesses:
    """Looks, as long as it is entered, at all that descend from this process; also at those that live shortly."""

    def __init__(self) -> None:
        self.seen: dict[str, bytes] = {}

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look_on(), name="seen-processes")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _look_on(self) -> None:
        while True:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _look(self) -> None:
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    stat = (entry / "stat").read_text()
                    parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
        for pid in parents:
            if _descends(pid, parents):
                for part in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        content = Path(f"/proc/{pid}/{part}").read_bytes()
                        key = f"/proc/{pid}/{part}"
                        if content not in self.seen.get(key, b""):  # a process may become another program
                            self.seen[key] = self.seen.get(key, b"") + b"\n" + content


def _descends(pid: int, parents: dict[int, int]) -> bool:
    own = os.getpid()
    while (pid := parents.get(pid, 0)) > 1:
        if pid == own:
            return True
    return False
