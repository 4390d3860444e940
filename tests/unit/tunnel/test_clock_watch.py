"""Suspend, stall and a wall clock that was set are told apart, and nothing else is one of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tunnel.clock_watch import Clocks, ClockWatch, Disturbance


def about(seconds: float) -> Any:
    """As a float that equals its neighbours."""
    return pytest.approx(seconds)


class Machine:
    """Three clocks that a test moves."""

    def __init__(self) -> None:
        self.monotonic, self.boot, self.wall = 100.0, 400.0, 1_700_000_000.0
        clocks = Clocks(lambda: self.monotonic, lambda: self.boot, lambda: self.wall)
        self.watch = ClockWatch(clocks)

    def run(self, seconds: float) -> None:
        """Time as it should pass."""
        self.monotonic += seconds
        self.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        """The machine is suspended."""
        self.boot += seconds
        self.wall += seconds

    def look(self, after_s: float = 1.0) -> tuple[Disturbance, float] | None:
        self.run(after_s)
        return self.watch.look()


def test_a_day_without_anything_is_quiet() -> None:
    machine = Machine()
    assert {machine.look() for _ in range(86_400)} == {None}


def test_a_suspend() -> None:
    machine = Machine()
    machine.sleep(3600)
    assert machine.look() == (Disturbance.SUSPENDED, about(3600))
    assert machine.look() is None


def test_a_suspend_during_which_the_wall_clock_was_not_kept() -> None:
    machine = Machine()
    machine.sleep(60)
    machine.wall -= 60
    found = machine.look()
    assert found is not None
    assert found[0] is Disturbance.SUSPENDED


def test_a_process_that_stood_still() -> None:
    machine = Machine()
    assert machine.look(41.0) == (Disturbance.STALLED, about(40))
    assert machine.look() is None


@pytest.mark.parametrize("seconds", [30.0, -30.0, 86_400.0 * 365])
def test_a_wall_clock_that_was_set_either_way(seconds: float) -> None:
    machine = Machine()
    machine.look()
    machine.wall += seconds
    assert machine.look() == (Disturbance.CLOCK_JUMPED, about(seconds))
    assert machine.look() is None


def test_a_wall_clock_that_is_set_again_and_again_counts_once_a_minute() -> None:
    machine = Machine()
    found = []
    for _ in range(180):
        machine.wall += 10
        found.append(machine.look())
    assert sum(each is not None for each in found) == 3


def test_the_limit_on_jumps_hides_neither_a_suspend_nor_a_stall() -> None:
    machine = Machine()
    machine.wall += 100
    assert machine.look() is not None
    machine.sleep(20)
    found = machine.look()
    assert found is not None
    assert found[0] is Disturbance.SUSPENDED
    found = machine.look(30)
    assert found is not None
    assert found[0] is Disturbance.STALLED


@given(
    st.lists(st.tuples(st.floats(0.9, 4.0), st.floats(-0.5, 0.5), st.floats(0, 0.01)), min_size=1, max_size=50),
)
def test_lateness_and_slewing_of_every_day_are_nothing(steps: list[tuple[float, float, float]]) -> None:
    machine = Machine()
    for late, slew, gap in steps:
        machine.wall += slew
        machine.boot += gap  # the three clocks are not read at one instant
        assert machine.look(late) is None


def test_the_real_clocks_agree_with_one_another() -> None:
    watch = ClockWatch(Clocks(), every_s=0.0)
    assert watch.look() is None
