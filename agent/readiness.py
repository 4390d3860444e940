"""Does this agent live, and can it serve? Pure: from a report to a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_STATES: Final = {
    "starting": "The agent is starting: its stores are being opened.",
    "draining": "The agent is stopping: it takes nothing new.",
}
_ADVICE: Final = "prestashop-agent status says more."


def why_not_alive(report: Mapping[str, Any]) -> str:
    """Empty when it lives; else what is wrong. A start helps then, and only then."""
    return "" if report["is_alive"] else "The tunnels are looked after by nobody any more: restart the agent."


def why_not_ready(report: Mapping[str, Any]) -> str:
    """Empty when a tunnel is up and new requests are taken; else the reason, in words."""
    state = report["state"]
    if state == "ready":
        return ""
    if state in _STATES:
        return _STATES[state]
    reasons = sorted({tunnel["last_ending"]["reason"] for tunnel in report["tunnels"] if tunnel["last_ending"]})
    because = f" ({', '.join(reasons)})" if reasons else ""
    if state == "refused":
        return f"No tunnel is up, and a person must act{because}: {_ADVICE}"
    return f"No tunnel is up; the agent is connecting{because}: {_ADVICE}"
