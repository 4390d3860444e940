"""The refusals of the agent's policy, with the command that opens what was refused. Pure."""

from __future__ import annotations

from agent.errors import PolicyDenied
from agent.policy import Decision, Rule
from agent.store_command import add_command, widening_command


def no_such_store() -> PolicyDenied:
    """No table of the settings names the store of the request."""
    return PolicyDenied(
        "This agent's settings name no store at that address. If it is to be open, run on the agent's machine: "
        f"{add_command()}."
    )


def not_open(decision: Decision, rule: Rule) -> PolicyDenied:
    """The rule of the store refuses the request."""
    command = widening_command(decision, rule)
    more = f" If it is to be open, run on the agent's machine: {command}." if command else ""
    return PolicyDenied(decision.detail + more)
