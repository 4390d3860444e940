"""What processes have used, from /proc: the honest figure on a machine that others use, too."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> tuple[int, ...]:
    """``pid`` and all that it started, as far as they live."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return ()
    return (pid, *(each for child in children for each in family(int(child))))


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds of all their threads, in user mode and in the kernel, in steps of 10 ms as a rule."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_S


def resident_mb(pids: Iterable[int]) -> float:
    """Resident memory now; pages that they share are counted for each."""
    kb = 0
    for pid in pids:
        kb += int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])
    return kb / 1024
