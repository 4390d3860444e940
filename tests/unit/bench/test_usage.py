"""What /proc says, read right even where a process has an awkward name."""

from __future__ import annotations

import os

from tests.bench.tunnels.usage import cpu_ticks, resident_kib, resident_mb


def test_ticks_of_user_and_system_are_found_behind_any_name() -> None:
    stat = "4711 (tmux: a) S 2 (x) S 1 4711 4711 0 -1 4194560 511 0 0 0 37 5 9 9 20 0 1 0 100 1 1"
    assert cpu_ticks(stat) == 37 + 5


def test_resident_memory_is_not_its_peak() -> None:
    assert resident_kib("Name:\tpython\nVmHWM:\t   90000 kB\nVmRSS:\t   45056 kB\nRssAnon:\t 1 kB\n") == 45056


def test_resident_memory_of_two_is_their_sum() -> None:
    one, two = resident_mb([os.getpid()]), resident_mb([os.getpid()] * 2)
    assert 1.5 * one < two < 2.5 * one
