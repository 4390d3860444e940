"""The size of a channel's window: what makes it grow, what makes it shrink, and what it never goes beyond."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tunnel.window import WINDOW_MAX_BYTES, next_window_bytes

MIB = 1 << 20
BASE = 2 * MIB


@pytest.mark.parametrize(
    ("window", "elapsed_s", "paused_s", "round_trip_s", "room", "then"),
    [
        (BASE, 0.1, 0.0, 0.1, 64 * MIB, 4 * MIB),  # half of it in a round trip: it was waited for
        (BASE, 0.16, 0.0, 0.1, 64 * MIB, BASE),  # there was always some left
        (BASE, 0.1, 0.0, 0.0, 64 * MIB, BASE),  # nobody knows how long the line is
        (BASE, 0.1, 0.02, 0.1, 64 * MIB, BASE),  # the reader paused: more would only be held for it
        (8 * MIB, 0.1, 0.06, 0.1, 64 * MIB, 4 * MIB),
        (BASE, 0.1, 0.06, 0.1, 64 * MIB, BASE),
        (8 * MIB, 60.0, 0.0, 0.1, 64 * MIB, 4 * MIB),  # it rested
        (BASE, 60.0, 0.0, 0.1, 64 * MIB, BASE),
        (16 * MIB, 0.1, 0.0, 0.1, 64 * MIB, 32 * MIB),
        (32 * MIB, 0.1, 0.0, 0.1, 64 * MIB, 32 * MIB),
        (8 * MIB, 0.1, 0.0, 0.1, 3 * MIB, 11 * MIB),
        (8 * MIB, 0.1, 0.0, 0.1, 0, 8 * MIB),
        (8 * MIB, 0.1, 0.0, 0.1, -6 * MIB, 8 * MIB),
    ],
)
def test_it_follows_the_reader_and_the_line(
    window: int, elapsed_s: float, paused_s: float, round_trip_s: float, room: int, then: int
) -> None:
    found = next_window_bytes(
        window, BASE, elapsed_s=elapsed_s, paused_s=paused_s, round_trip_s=round_trip_s, room_bytes=room
    )
    assert found == then


@pytest.mark.parametrize(("mbit_per_s", "round_trip_s"), [(1000, 0.1), (1000, 0.02), (100, 0.2), (20, 0.03)])
def test_a_steady_reader_gets_two_to_six_times_what_is_under_way(mbit_per_s: int, round_trip_s: float) -> None:
    rate, window = mbit_per_s * 125_000, BASE
    for _ in range(20):
        elapsed_s = max(window / 2 / rate, round_trip_s if window < rate * round_trip_s else 0.0)
        window = next_window_bytes(
            window, BASE, elapsed_s=elapsed_s, paused_s=0.0, round_trip_s=round_trip_s, room_bytes=64 * MIB
        )
    assert window >= 2 * rate * round_trip_s
    assert window <= max(BASE, 6 * rate * round_trip_s)


seconds = st.floats(min_value=0, max_value=1000)


@given(st.integers(BASE, WINDOW_MAX_BYTES), seconds, seconds, st.floats(0, 1), st.integers(-64 * MIB, 64 * MIB))
def test_it_stays_within_its_bounds(
    window: int, elapsed_s: float, paused_s: float, round_trip_s: float, room: int
) -> None:
    found = next_window_bytes(
        window, BASE, elapsed_s=elapsed_s, paused_s=paused_s, round_trip_s=round_trip_s, room_bytes=room
    )
    assert BASE <= found <= WINDOW_MAX_BYTES
    assert found - window <= max(room, 0)
    assert found >= window // 2
