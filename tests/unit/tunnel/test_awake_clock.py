"""Time that was slept or stalled away does not count as silence of the other side."""

from __future__ import annotations

import pytest

from agent.tunnel.awake_clock import AwakeClock


class Clock:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


def looked(*steps: float, pause_s: float = 1.0) -> float:
    """Seconds awake after looks that came so many seconds after one another."""
    clock = Clock()
    awake = AwakeClock(clock, pause_s)
    for step in steps:
        clock.now += step
        awake.look()
    return awake.awake_s


def test_punctual_looks_count_in_full() -> None:
    assert looked(*[1.0] * 30) == pytest.approx(30)
    assert looked(1.1, 1.5, 0.9) == pytest.approx(3.5)


def test_a_stall_of_any_length_counts_as_two_pauses() -> None:
    assert looked(1, 40, 1) == pytest.approx(4)
    assert looked(0.1, 86_400, 0.1, pause_s=0.1) == pytest.approx(0.4)


def test_a_process_that_is_always_late_comes_to_an_end_all_the_same() -> None:
    assert looked(*[3.0] * 13) > 25


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    assert looked(1, -100, 1) == pytest.approx(2)
