"""The size of a channel's window: what makes it grow, what makes it shrink, and what it never goes beyond."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tunnel.window import (
    LOOK_BYTES,
    START_MAX_BYTES,
    WINDOW_MAX_BYTES,
    WindowBudget,
    grown_window_bytes,
    kept_window_bytes,
    start_window_bytes,
)

MIB = 1 << 20
BASE = 2 * MIB


@pytest.mark.parametrize(
    ("round_trip_s", "room", "then"),
    [
        (0.0, 64 * MIB, BASE),  # nobody knows how long the line is
        (0.016, 64 * MIB, BASE),  # at 1 Gbit/s it takes 17 ms to send that
        (0.05, 64 * MIB, 6_250_000),
        (0.1, 64 * MIB, 12_500_000),
        (0.2, 64 * MIB, START_MAX_BYTES),
        (0.2, MIB, BASE + MIB),
        (0.2, 0, BASE),
        (0.2, -MIB, BASE),
    ],
)
def test_it_begins_larger_where_the_line_is_long_and_there_is_room(round_trip_s: float, room: int, then: int) -> None:
    assert start_window_bytes(BASE, round_trip_s=round_trip_s, room_bytes=room) == then


@pytest.mark.parametrize(
    ("window", "elapsed_s", "round_trip_s", "room", "then"),
    [
        (BASE, 0.1, 0.1, 64 * MIB, BASE),  # three times of what came is less
        (BASE, 0.05, 0.1, 64 * MIB, 3 * MIB),
        (BASE, 0.005, 0.1, 64 * MIB, 30 * MIB),  # 100 MB/s: at once
        (BASE, 0.004, 0.1, 64 * MIB, 32 * MIB),
        (BASE, 0.0, 0.1, 64 * MIB, 32 * MIB),  # what had gathered came in one turn of the loop
        (BASE, 0.005, 0.0, 64 * MIB, BASE),  # nobody knows how long the line is
        (BASE, 0.0, 0.0, 64 * MIB, BASE),
        (BASE, 60.0, 0.1, 64 * MIB, BASE),
        (32 * MIB, 0.001, 0.1, 64 * MIB, 32 * MIB),
        (8 * MIB, 0.001, 0.1, 3 * MIB, 11 * MIB),
        (8 * MIB, 0.001, 0.1, 0, 8 * MIB),
        (8 * MIB, 0.001, 0.1, -6 * MIB, 8 * MIB),
    ],
)
def test_it_grows_to_three_times_what_is_under_way(
    window: int, elapsed_s: float, round_trip_s: float, room: int, then: int
) -> None:
    found = grown_window_bytes(
        window, read_bytes=LOOK_BYTES, elapsed_s=elapsed_s, round_trip_s=round_trip_s, room_bytes=room
    )
    assert found == pytest.approx(then, abs=1)


@pytest.mark.parametrize(
    ("window", "elapsed_s", "paused_s", "round_trip_s", "then"),
    [
        (8 * MIB, 0.1, 0.0, 0.1, 8 * MIB),
        (8 * MIB, 0.4, 0.0, 0.1, 8 * MIB),
        (8 * MIB, 0.41, 0.0, 0.1, 4 * MIB),  # it is eight times what is under way
        (8 * MIB, 0.1, 0.06, 0.1, 4 * MIB),  # the reader paused: more would only be held for it
        (8 * MIB, 60.0, 0.0, 0.1, 4 * MIB),
        (3 * MIB, 60.0, 0.0, 0.1, BASE),
        (BASE, 60.0, 0.0, 0.1, BASE),
        (BASE, 0.1, 0.06, 0.1, BASE),
    ],
)
def test_it_halves_for_a_slow_reader_and_a_line_that_carries_little(
    window: int, elapsed_s: float, paused_s: float, round_trip_s: float, then: int
) -> None:
    found = kept_window_bytes(window, BASE, elapsed_s=elapsed_s, paused_s=paused_s, round_trip_s=round_trip_s)
    assert found == then


@pytest.mark.parametrize("start", [BASE, WINDOW_MAX_BYTES])
@pytest.mark.parametrize(("mbit_per_s", "round_trip_s"), [(1000, 0.1), (1000, 0.02), (100, 0.2), (20, 0.03)])
def test_a_steady_reader_gets_two_to_eight_times_what_is_under_way(
    mbit_per_s: int, round_trip_s: float, start: int
) -> None:
    rate, window = mbit_per_s * 125_000, start
    for _ in range(20):
        window = grown_window_bytes(
            window,
            read_bytes=LOOK_BYTES,
            elapsed_s=LOOK_BYTES / rate,
            round_trip_s=round_trip_s,
            room_bytes=64 * MIB,
        )
        elapsed_s = max(window / 2 / rate, round_trip_s if window < rate * round_trip_s else 0.0)
        window = kept_window_bytes(window, BASE, elapsed_s=elapsed_s, paused_s=0.0, round_trip_s=round_trip_s)
    assert window >= 2 * rate * round_trip_s
    assert window <= max(BASE, 8 * rate * round_trip_s)


seconds = st.floats(min_value=0, max_value=1000)
windows = st.integers(BASE, WINDOW_MAX_BYTES)
rooms = st.integers(-64 * MIB, 64 * MIB)


@given(windows, st.integers(1, WINDOW_MAX_BYTES), seconds, st.floats(0, 1), rooms)
def test_it_stays_within_its_bounds(
    window: int, read_bytes: int, elapsed_s: float, round_trip_s: float, room: int
) -> None:
    found = grown_window_bytes(
        window, read_bytes=read_bytes, elapsed_s=elapsed_s, round_trip_s=round_trip_s, room_bytes=room
    )
    assert window <= found <= WINDOW_MAX_BYTES
    assert found - window <= max(room, 0)


def test_what_has_carried_nothing_yet_gets_half_of_a_budget_at_most() -> None:
    budget = WindowBudget(64 * MIB)
    budget.taken_bytes = 30 * MIB
    assert (budget.room_bytes, budget.start_room_bytes) == (34 * MIB, 2 * MIB)
