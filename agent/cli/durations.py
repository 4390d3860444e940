"""Times as a person says them. Pure, but for the time zone of this machine."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Final

_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_duration(text: str) -> timedelta | None:
    """What ``30m``, ``12h``, ``90d`` or ``2w`` means; None for anything else."""
    found = _DURATION.fullmatch(text.strip().lower())
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found is not None else None


def shown_duration(seconds: float) -> str:
    """``4 s``, ``3 min``, ``2 h 13 min``, ``5 d 4 h``: two units at most, always rounded down."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{days} d" + (f" {hours % 24} h" if hours % 24 else "")


def shown_round_trip(milliseconds: float | None) -> str:
    """``0.8 ms`` below ten, ``103 ms`` above; what was not measured yet is said so."""
    if milliseconds is None:
        return "not measured yet"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def shown_clock(unix_s: float, now: float) -> str:
    """``06:58:03`` of the last day, ``11-22 06:58`` of days before; local."""
    return time.strftime("%H:%M:%S" if now - unix_s < 86400 else "%m-%d %H:%M", time.localtime(unix_s))


def shown_bytes(count: float) -> str:
    """``512 B``, ``4.1 kB``, ``103 MB``: decimal units, as network rates have them."""
    unit = "B"
    for larger in ("kB", "MB", "GB"):
        if count < 999.5:
            break
        count, unit = count / 1000, larger
    return f"{count:.1f} {unit}" if unit != "B" and count < 9.95 else f"{count:.0f} {unit}"


def shown_moment(unix_s: float) -> str:
    """``2026-11-23 06:58 +0100``: local, with the zone, since whoever reads it may sit in another one."""
    return time.strftime("%Y-%m-%d %H:%M %z", time.localtime(unix_s))
