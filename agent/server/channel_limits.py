"""How many channels a tunnel has, and how fast their number changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OPEN_TIMEOUT_S: Final = 10.0
TIDY_EVERY_S: Final = 60.0

WARMING_MAX: Final = 4
"""Channels that are opened at once without anybody waiting: a tunnel that is back is not the only one."""

CLOSED_MAX: Final = 16
"""Of those that are not needed any more, closed at a time."""


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """``channels_max`` open at a time per tunnel, and ``warm_min`` more than are in use, once the tunnel has been used.

    What recent demand speaks for stays open, up to ``kept_max``: an idle channel costs the server about 7 kB.
    """

    channels_max: int = 256
    kept_max: int = 64
    warm_min: int = 2
