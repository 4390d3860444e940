"""Points in time as log files and log lines show them. Pure: no I/O, no logging."""

from __future__ import annotations

import time
from functools import lru_cache


@lru_cache(maxsize=4)
def shown_second(second: int) -> str:
    """``2026-11-26T10:00:00`` in UTC for Unix time; remembered, since a busy second is asked for again and again."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
