"""What processes have used, from /proc: the honest figure on a machine that others use, too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.bench.tunnels.place import Place

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> tuple[int, ...]:
    """``pid`` and all that it started, as far as they live."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return ()
    return (pid, *(each for child in children for each in family(int(child))))


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds of all their threads, in user mode and in the kernel, in steps of 10 ms as a rule."""
    return sum(cpu_ticks(Path(f"/proc/{pid}/stat").read_text()) for pid in pids) / TICKS_PER_S


def cpu_ticks(stat: str) -> int:
    """User and system ticks of a ``/proc/PID/stat``, proc(5): fields 14 and 15; field 2 may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def resident_mb(pids: Iterable[int]) -> float:
    """Resident memory now, in MB; pages that they share are counted for each."""
    return sum(resident_kib(Path(f"/proc/{pid}/status").read_text()) for pid in pids) * 1024 / 1e6


def resident_kib(status: str) -> int:
    """``VmRSS`` of a ``/proc/PID/status``, proc(5)."""
    return int(status.partition("VmRSS:")[2].split()[0])


def bare_python_mb(place: Place) -> float:
    """Resident memory of a process that has imported asyncssh and uvloop and does nothing, in MB."""
    code = "import asyncssh, uvloop; print('ready', flush=True); import time; time.sleep(60)"
    process = place.started("bare-python", sys.executable, "-c", code)
    try:
        return resident_mb((process.pid,))
    finally:
        process.terminate()
        process.wait()
