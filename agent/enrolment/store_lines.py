"""What is said of a store that was opened, for a person and for scripts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from agent.enrolment.store_plan import StorePlan
from agent.opening import Opening
from agent.policy import METHODS
from agent.store_command import add_command

_RESULTS: Final = {"added": "opened", "changed": "changed", "unchanged": "is open already"}

Line = tuple[str, str]
"""A name and its text; ("", TEXT) goes on below the one before."""


def plan_lines(plan: StorePlan) -> Iterator[Line]:
    """The result, then what is open, what is not, how the address was read, and what to know."""
    yield "Store", f"{plan.opening.store}: {_RESULTS[plan.result]}"
    yield from opening_lines(plan.opening)
    for found in plan.readings:
        yield "  asked", f"{found.store.webservice_url}: {found.detail}"
    if plan.left_out:
        yield "  not kept", f"of the address that was given: {', '.join(plan.left_out)}"
    for sentence in plan.warnings():
        yield "  warning", sentence


def opening_lines(opening: Opening) -> Iterator[Line]:
    """What is open, what is not, and how the store is reached."""
    settings = opening.settings
    methods = [method for method in METHODS if method in settings.methods]
    closed = [method for method in METHODS if method not in settings.methods]
    yield "  webservice", opening.store.webservice_url
    yield "  open", f"{', '.join(methods)} of {shown_resources(settings.resources)}"
    if closed:
        yield "  closed", ", ".join(closed)
        yield "  to open", add_command(opening.store, "--write")
    if settings.connect:
        yield "  connects to", settings.connect
    if settings.shop_host:
        yield "  Host", settings.shop_host
    if settings.ca_file:
        yield "  CA", str(settings.ca_file)


def shown_resources(resources: Sequence[str] | None) -> str:
    """``all resources``, or their names."""
    return "all resources" if resources is None else ", ".join(resources) or "no resource"


def plan_json(plan: StorePlan) -> dict[str, Any]:
    """The same for scripts."""
    readings = [
        {"webservice": each.store.webservice_url, "probe": each.verdict.value, "detail": each.detail}
        for each in plan.readings
    ]
    return {
        **opening_json(plan.opening),
        "result": plan.result,
        "certain": plan.certain,
        "readings": readings,
        "not_kept": list(plan.left_out),
        "warnings": plan.warnings(),
    }


def opening_json(opening: Opening) -> dict[str, Any]:
    """One store of the settings."""
    settings = opening.settings
    return {
        "store": str(opening.store),
        "webservice": opening.store.webservice_url,
        "methods": [method for method in METHODS if method in settings.methods],
        "resources": list(settings.resources) if settings.resources is not None else None,
        "connect": settings.connect,
        "shop_host": settings.shop_host,
        "ca_file": str(settings.ca_file) if settings.ca_file else None,
    }
