"""Times as people give them on the command line: a duration, or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def expiry(text: str) -> str:
    """The ISO time that ``90d`` or a date means, from now on; a date ends with that day. Raises click.BadParameter."""
    duration = _duration(text)
    if duration is not None:
        return (datetime.now(UTC) + duration).isoformat()
    at = _date(text, "--expires")
    if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text.strip()):
        at += timedelta(days=1)
    return at.isoformat()


def since(text: str) -> str:
    """The ISO time that ``7d`` ago or a date means; a date begins with that day. Raises click.BadParameter."""
    duration = _duration(text)
    return (datetime.now(UTC) - duration if duration is not None else _date(text, "--since")).isoformat()


def _duration(text: str) -> timedelta | None:
    found = _DURATION.fullmatch(text.strip().lower())
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found is not None else None


def _date(text: str, option: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise click.BadParameter("write 90d, 12h, 2w, or a date such as 2027-01-31.", param_hint=option) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
