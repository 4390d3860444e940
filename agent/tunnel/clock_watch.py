"""Notices that this machine slept, that its wall clock jumped, or that this process stood still. Pure.

Each leaves behind links that may be dead without anybody having said so, and waits that began in another world: a
laptop that was closed, a virtual machine that was moved or restored, a process that was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

LOOK_EVERY_S: Final = 1.0


class Disturbance(Enum):
    """What happened since the last look."""

    SUSPENDED = "suspended"  # CLOCK_BOOTTIME ran on while CLOCK_MONOTONIC stood still
    STALLED = "stalled"  # the look came late: SIGSTOP, a paused virtual machine, no CPU
    CLOCK_JUMPED = "clock_jumped"  # CLOCK_REALTIME was set; all that a restored snapshot shows


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Three clocks, in seconds. ``boot`` counts sleep and cannot be set, ``wall`` can."""

    monotonic: Callable[[], float] = time.monotonic
    boot: Callable[[], float] = _boottime
    wall: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class ClockLimits:
    """What is no disturbance yet, in seconds.

    A wall clock that somebody sets again and again counts once per ``jump_pause_s``, so that it does not make the
    agent hammer a server that is not there.
    """

    sleep_s: float = 1.0
    stall_s: float = 5.0
    jump_s: float = 5.0
    jump_pause_s: float = 60.0


class ClockWatch:
    """To be asked every ``LOOK_EVERY_S`` seconds."""

    def __init__(self, clocks: Clocks, limits: ClockLimits | None = None, every_s: float = LOOK_EVERY_S) -> None:
        self._clocks = clocks
        self._limits = limits or ClockLimits()
        self._every_s = every_s
        self._monotonic, self._boot, self._wall = clocks.monotonic(), clocks.boot(), clocks.wall()
        self._jump_counts_from = self._boot

    def look(self) -> tuple[Disturbance, float] | None:
        """What happened since the last look, and its seconds (slept, late, or jumped by); None for nothing."""
        monotonic, boot, wall = self._clocks.monotonic(), self._clocks.boot(), self._clocks.wall()
        ran_s, passed_s, shown_s = monotonic - self._monotonic, boot - self._boot, wall - self._wall
        self._monotonic, self._boot, self._wall = monotonic, boot, wall
        limits = self._limits
        slept_s, late_s, jumped_s = passed_s - ran_s, ran_s - self._every_s, shown_s - passed_s
        if slept_s > limits.sleep_s:
            return Disturbance.SUSPENDED, slept_s
        if late_s > limits.stall_s:
            return Disturbance.STALLED, late_s
        if abs(jumped_s) > limits.jump_s and boot >= self._jump_counts_from:
            self._jump_counts_from = boot + limits.jump_pause_s
            return Disturbance.CLOCK_JUMPED, jumped_s
        return None
