"""Templates of the panel: how they are loaded, and what they can say about times, numbers and states."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import jinja2
from markupsafe import Markup

import agent
from agent.server.panel.static_files import STATIC

_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("agent.server.panel", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


_YEAR_9999: Final = 253_370_764_800


def render(template: str, context: Mapping[str, Any]) -> str:
    """The page or fragment as HTML; values are escaped."""
    return _ENVIRONMENT.get_template(template).render(context)


def moment(at: float | None, now: float, absent: str = "never") -> Markup:
    """A ``<time>`` with the age to read and the exact time to hover; ``at`` and ``now`` are unix seconds."""
    if at is None:
        return Markup('<span class="muted">{}</span>').format(absent)
    exact = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        exact.isoformat(timespec="seconds"), f"{exact:%Y-%m-%d %H:%M:%S} UTC", age(now - at)
    )


def age(seconds: float) -> str:
    """``12 s ago``, ``3 min ago``, ``in 2 days``."""
    size = abs(seconds)
    if size < 1.5:
        return "just now"
    for limit, unit_s, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h"), (float("inf"), 86_400, "days")):
        if size < limit:
            text = f"{round(size / unit_s)} {unit}"
            return f"in {text}" if seconds < 0 else f"{text} ago"
    raise AssertionError("the last limit is infinite")


def milliseconds(value: float | None) -> str:
    """``3.2 ms``, ``1.4 s``, ``< 0.1 ms``; a dash where it is not known."""
    if value is None:
        return "\u2013"
    if value < 0.1:
        return "< 0.1 ms"
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def count(number: int, singular: str, plural: str = "") -> str:
    """``1 agent``, ``2 agents``."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def details(values: Mapping[str, Any]) -> str:
    """What an audit entry adds, in words: ``role: viewer, methods: GET and HEAD``; ids are left to the API."""
    told = {name: value for name, value in values.items() if value is not None and not name.endswith("_id")}
    return ", ".join(f"{name.replace('_', ' ')}: {_in_words(name, value)}" for name, value in told.items())


def _in_words(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        words = [str(each) for each in value]
        return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "none"
    if name.endswith("_at") and isinstance(value, int | float) and 0 <= value < _YEAR_9999:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M} UTC"
    return str(value)


_ENVIRONMENT.globals.update(
    static=STATIC.url,
    moment=moment,
    milliseconds=milliseconds,
    count=count,
    details=details,
    product_version=agent.__version__,
)
