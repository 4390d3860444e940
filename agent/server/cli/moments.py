"""Times as people give them on the command line: a duration, or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from agent.cli.durations import read_duration


def expiry(text: str) -> str:
    """The ISO time that ``90d`` or a date means, from now on; a date ends with that day. Raises click.BadParameter."""
    duration = read_duration(text)
    if duration is not None:
        return (datetime.now(UTC) + duration).isoformat()
    at = _date(text, "--expires")
    if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text.strip()):
        at += timedelta(days=1)
    return at.isoformat()


def since(text: str) -> str:
    """The ISO time that ``7d`` ago or a date means; a date begins with that day. Raises click.BadParameter."""
    duration = read_duration(text)
    return (datetime.now(UTC) - duration if duration is not None else _date(text, "--since")).isoformat()


def _date(text: str, option: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise click.BadParameter("write 90d, 12h, 2w, or a date such as 2027-01-31.", param_hint=option) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
