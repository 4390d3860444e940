"""What the log says of a store that is opened."""

from __future__ import annotations

import structlog

from agent.opening import Opening

_log = structlog.get_logger("agent")


def say_what_is_open(opening: Opening) -> None:
    """One INFO line for the store, and a WARNING for everything about it that a person should know."""
    rule = opening.rule()
    _log.info(
        "store.open",
        store=str(opening.store),
        methods=",".join(opening.settings.methods),
        resources="all" if rule.resources is None else ",".join(sorted(rule.resources)),
    )
    if not opening.certain:
        _log.warning(
            "store.ambiguous",
            store=str(opening.store),
            detail="The address can be read in several ways and the probe did not decide.",
            write=f'url = "{opening.store.webservice_url}"',
        )
    for warning in opening.warnings():
        _log.warning("store.warning", store=str(opening.store), detail=warning)
