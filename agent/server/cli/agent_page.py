"""One agent in a terminal: its state, its processes, and what its own settings open."""

from __future__ import annotations

from typing import Any

from agent.cli.page import shown_pause
from agent.policy import METHODS
from agent.server.cli.output import moment, print_record
from agent.store_url import Store


def show_agent(agent: dict[str, Any]) -> None:
    """Print it; no secret of an agent is kept that could be shown."""
    grants = agent["grants"]
    print_record(
        {
            "name": agent["name"],
            "id": agent["id"],
            "state": agent["state"].replace("_", " "),
            "description": agent["description"].splitlines(),
            "tunnels": agent["tunnels"],
            "max instances": agent["max_instances"],
            "last heartbeat": moment(agent["last_heartbeat_at"]),
            "version": agent["version"],
            "host": agent["host"],
            "peer": agent["client_details"]["peer"],
            "instances": [_instance(each) for each in agent["client_details"]["instances"]],
            "stores it opens": [_grant(each) for each in grants] if grants is not None else "not known yet",
            "stock ssh, for": agent["plain_store"],
            "connections": agent["connections_count"],
            "old token until": moment(agent["old_token_until"], "-"),
            "created": moment(agent["created_at"]),
            "revoked": moment(agent["revoked_at"], "no"),
        }
    )


def _instance(instance: dict[str, Any]) -> str:
    trip = f", {instance['round_trip_ms']:.0f} ms away" if instance["round_trip_ms"] is not None else ""
    leaving = ", draining" if instance["draining"] else ""
    return (
        f"{instance['id']} on {instance['host'] or '(unnamed)'}, version {instance['version']}, from "
        f"{instance['peer']}, {instance['tunnels']} tunnels since {moment(instance['connected_at'])}{trip}{leaving}"
    )


def _grant(grant: dict[str, Any]) -> str:
    store = Store(*(grant[name] for name in Store.__dataclass_fields__))
    methods = ", ".join(method for method in METHODS if method in grant["methods"])
    resources = ", ".join(sorted(grant["resources"])) if grant["resources"] is not None else "all resources"
    pause = grant.get("paused")
    paused = f"; paused by the shop {shown_pause(pause)}" if pause is not None else ""
    return f"{store}: {methods}; {resources}{paused}"
