"""What a process says of itself, so that a leak can be seen: tasks, files, threads, memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SELF: Final = Path("/proc/self")


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """Figures of this process at one moment, without what asking for them takes; None where /proc does not tell.

    ``tasks``: of the event loop; ``open_files``: file descriptors, sockets among them; ``threads``: all of them, those
    of libraries too.
    """

    tasks: int
    open_files: int | None
    threads: int | None
    resident_bytes: int | None

    @classmethod
    def now(cls, own_connections: int) -> ProcessReport:
        """The figures; to be called in the event loop.

        ``own_connections`` is how many descriptors belong to whoever asks. The task that answers is not counted.
        """
        answering = asyncio.current_task()
        tasks = asyncio.all_tasks()
        threads, resident_bytes = _threads_and_memory()
        return cls(
            tasks=len(tasks) - (answering in tasks),
            open_files=_open_files(own_connections),
            threads=threads,
            resident_bytes=resident_bytes,
        )


def _open_files(own_connections: int) -> int | None:
    try:
        # One of the entries is the descriptor by which the directory is read.
        return sum(1 for _ in (_SELF / "fd").iterdir()) - 1 - own_connections
    except OSError:
        return None


def _threads_and_memory() -> tuple[int | None, int | None]:
    """``Threads:`` and ``VmRSS:`` of proc_pid_status(5)."""
    try:
        lines = (_SELF / "status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None, None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    threads, resident = fields.get("Threads", "").strip(), fields.get("VmRSS", "").split()
    return (
        int(threads) if threads.isdigit() else None,
        int(resident[0]) * 1024 if resident and resident[0].isdigit() else None,
    )
