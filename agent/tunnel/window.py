"""How large the window of a channel should be, from how fast it is read. Pure.

A window bounds what the receiver holds of a channel that is not read, and it bounds the speed: so much per round trip.
2 MiB are 20 MB/s over 100 ms. So it begins small and doubles while its half is read in less than one and a half round
trips (dynamic right-sizing, Fisk and Feng 2001: two to three times what is under way), and halves again where the
reader is slower than the link, or the channel rests.
"""

from __future__ import annotations

from typing import Final

WINDOW_MAX_BYTES: Final = 32 << 20
"""Of one channel: 1 Gbit/s over 250 ms."""

WINDOWS_MAX_BYTES: Final = 64 << 20
"""Of all channels of a connection together; beyond, none grows, and new ones have what they begin with."""

GROWTH_MAX_BYTES: Final = 256 << 20
"""By which all windows of a process together may have grown: a server has many connections, and 1 GB of memory."""

ROUND_TRIP_MAX_S: Final = 1.0
"""A longer one is taken for this: the server is told it by the agent."""

_REST_S: Final = 2.0
_HALF_IN_ROUND_TRIPS: Final = 1.5


class WindowBudget:
    """By how much windows have grown beyond what their channels began with; channels take and give back."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.taken_bytes = 0

    def __repr__(self) -> str:
        return f"<WindowBudget {self.taken_bytes} of {self._max_bytes}>"

    @property
    def room_bytes(self) -> int:
        """What is left."""
        return self._max_bytes - self.taken_bytes


PROCESS_BUDGET: Final = WindowBudget(GROWTH_MAX_BYTES)
"""That of all connections of this process."""


def next_window_bytes(
    window_bytes: int, base_bytes: int, *, elapsed_s: float, paused_s: float, round_trip_s: float, room_bytes: int
) -> int:
    """The window after ``window_bytes``, half of which was read in ``elapsed_s``.

    For ``paused_s`` of them the reader wanted nothing. A ``round_trip_s`` of 0 is not known, and ``room_bytes`` are
    left to grow by. Never less than ``base_bytes``, with which the channel began.
    """
    if paused_s > elapsed_s / 2 or elapsed_s > _REST_S + 8 * round_trip_s:
        return max(base_bytes, window_bytes // 2)
    is_short = elapsed_s < _HALF_IN_ROUND_TRIPS * round_trip_s and paused_s <= elapsed_s / 8
    if not is_short or room_bytes <= 0:
        return window_bytes
    return max(window_bytes, min(2 * window_bytes, window_bytes + room_bytes, WINDOW_MAX_BYTES))
