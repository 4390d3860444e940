"""Templates of the panel: how they are loaded, and what they can say about times, numbers and states."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import jinja2
from markupsafe import Markup

import agent
from agent.server.panel.static_files import STATIC

_YEAR_10000: Final = 253_402_300_800

_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("agent.server.panel", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


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


def details(detail: Mapping[str, Any]) -> str:
    """What an audit line knows beside its subject, to be read: ``role: viewer; expires: 2027-01-01 00:00 UTC``."""
    shown = {name: value for name, value in detail.items() if value is not None and not name.endswith("_id")}
    return "; ".join(f"{_words(name)}: {_plain(name, value)}" for name, value in shown.items())


def _words(name: str) -> str:
    return name.removesuffix("_at").removesuffix("_s").replace("_", " ")


def _plain(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and name.endswith("_at") and 0 <= value < _YEAR_10000:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M} UTC"
    if isinstance(value, int | float) and name.endswith("_s"):
        return f"{value:g} s"
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)


def count(number: int, singular: str, plural: str = "") -> str:
    """``1 agent``, ``2 agents``."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


_ENVIRONMENT.globals.update(
    static=STATIC.url,
    moment=moment,
    milliseconds=milliseconds,
    count=count,
    details=details,
    product_version=agent.__version__,
)
