"""How large the window of a channel should be, from how fast it is read. Pure.

A window bounds what the receiver holds of a channel that is not read, and it bounds the speed: so much per round trip.
2 MiB are 20 MB/s over 100 ms. So it begins somewhat larger where the line is long, and is looked at while it is read:
what came since the last look, by the time it took, says how much is under way in a round trip, and the window is three
times that (dynamic right-sizing, Fisk and Feng 2001). It halves where the reader is slower than the line, or where the
line turns out to carry little.
"""

from __future__ import annotations

from typing import Final

WINDOW_MAX_BYTES: Final = 32 << 20
"""Of one channel: 1 Gbit/s over 250 ms."""

WINDOWS_MAX_BYTES: Final = 64 << 20
"""By which the windows of a connection together may have grown beyond what its channels began with."""

GROWTH_MAX_BYTES: Final = 256 << 20
"""By which all windows of a process together may have grown: a server has many connections, and 1 GB of memory."""

START_MAX_BYTES: Final = 16 << 20
"""Of a channel that has carried nothing yet."""

START_BYTES_PER_S: Final = 125_000_000
"""What a new channel may carry in its first round trip: 1 Gbit/s."""

LOOK_BYTES: Final = 512 * 1024
"""Looked at so often: 4 ms at 1 Gbit/s, twice what is read in one turn of the loop."""

ROUND_TRIP_MAX_S: Final = 1.0
"""A longer one is taken for this: the server is told it by the agent."""

_UNDER_WAY_TIMES: Final = 3
_HALF_MAX_ROUND_TRIPS: Final = 4  # slower, and the window is eight times what is under way


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

    @property
    def start_room_bytes(self) -> int:
        """What is left for channels that have carried nothing yet: the other half is for those that need it."""
        return self._max_bytes // 2 - self.taken_bytes


PROCESS_BUDGET: Final = WindowBudget(GROWTH_MAX_BYTES)
"""That of all connections of this process."""


def start_window_bytes(base_bytes: int, *, round_trip_s: float, room_bytes: int) -> int:
    """The window with which a channel begins: ``base_bytes``, more where the line is long and there is room."""
    wanted = min(int(START_BYTES_PER_S * round_trip_s), START_MAX_BYTES, base_bytes + room_bytes)
    return max(base_bytes, wanted)


def grown_window_bytes(
    window_bytes: int, *, read_bytes: int, elapsed_s: float, round_trip_s: float, room_bytes: int
) -> int:
    """The window after ``window_bytes``, when ``read_bytes`` of it came in ``elapsed_s``; never less than before.

    A ``round_trip_s`` of 0 is not known, and ``room_bytes`` are left to grow by.
    """
    wanted = min(WINDOW_MAX_BYTES, window_bytes + room_bytes)
    if wanted * elapsed_s > _UNDER_WAY_TIMES * read_bytes * round_trip_s:
        wanted = int(_UNDER_WAY_TIMES * read_bytes * round_trip_s / elapsed_s)
    return max(window_bytes, wanted) if round_trip_s else window_bytes


def kept_window_bytes(
    window_bytes: int, base_bytes: int, *, elapsed_s: float, paused_s: float, round_trip_s: float
) -> int:
    """The window after ``window_bytes``, half of which was read in ``elapsed_s``: as it was, or half of it.

    For ``paused_s`` of them the reader wanted nothing. Never less than ``base_bytes``.
    """
    is_slow = paused_s > elapsed_s / 2 or elapsed_s > _HALF_MAX_ROUND_TRIPS * round_trip_s
    return max(base_bytes, window_bytes // 2) if is_slow else window_bytes
