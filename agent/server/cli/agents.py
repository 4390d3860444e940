"""``integration-server agents``: create, list, show, update, clone, rotate, switch, revoke, delete."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from agent.server.cli.admin import AdminApi, RefusedError
from agent.server.cli.agent_page import show_agent
from agent.server.cli.agent_token import grace_seconds, show_plain, show_rotated, show_token
from agent.server.cli.options import on_admin_api, search_option, state_option
from agent.server.cli.output import moment, print_json, print_list, print_outcome


@click.group()
def agents() -> None:
    """Create, list, update and revoke agents: the daemons on the stores' networks."""


@agents.command(
    epilog="""\b
Examples:
  integration-server agents create warehouse --public-ssh-address agents.example.com:2222
  integration-server agents create warehouse-2 --description "rack 4" --max-instances 2
  integration-server agents create emergency --plain-ssh http://192.168.1.20/shop/api/
"""
)
@click.argument("name")
@click.option("--description", default="", help="Where it runs, whom to ask.")
@click.option("--max-instances", type=int, default=1, show_default=True, help="Processes that may serve at once.")
@click.option(
    "--plain-ssh",
    "plain_store_url",
    metavar="STORE_URL",
    help="For a stock ssh client instead of prestashop-agent, bound to this one http store.",
)
@click.option(
    "--public-ssh-address",
    metavar="HOST:PORT",
    help="Address under which agents reach this server; asked for once. Several of one cluster by commas.",
)
@click.option("--public-gateway-url", metavar="URL", help="Address that integrations use; kept as well.")
@on_admin_api
def create(
    api: AdminApi,
    name: str,
    description: str,
    max_instances: int,
    plain_store_url: str | None,
    public_ssh_address: str | None,
    public_gateway_url: str | None,
    as_json: bool,
) -> None:
    """Register an agent and print its access token, this once."""
    body: dict[str, object] = {
        "name": name,
        "description": description,
        "max_instances": max_instances,
        "plain_store_url": plain_store_url,
        "public_ssh_address": public_ssh_address,
        "public_gateway_url": public_gateway_url,
    }
    try:
        made = api.post("agents", body=body)
    except RefusedError as error:
        if error.name != "address_missing" or not sys.stdin.isatty():
            raise
        click.echo("Agents need to know where this server is; this is asked once.", err=True)
        body["public_ssh_address"] = click.prompt("Address for agents (host:port)", err=True)
        if public_gateway_url is None:
            asked = click.prompt(
                "Address for integrations (URL, empty: later)", default="", show_default=False, err=True
            )
            body["public_gateway_url"] = asked or None
        made = api.post("agents", body=body)
    if as_json:
        print_json(made)
    elif plain_store_url is not None:
        show_plain(made)
    else:
        show_token(made)


@agents.command(
    "list",
    epilog="""\b
Examples:
  integration-server agents list --json
  integration-server agents list --state offline
""",
)
@search_option
@state_option("awaiting-install", "online", "draining", "offline", "disabled", "revoked")
@on_admin_api
def list_(api: AdminApi, search: str, state: str | None, as_json: bool) -> None:
    """List the agents, with state and last heartbeat."""
    found = api.get_all("agents", query={"q": search} | ({"state": state.replace("-", "_")} if state else {}))
    replicas: dict[str, Callable[[dict[str, Any]], object]] = {"MAX INSTANCES": lambda agent: agent["max_instances"]}
    print_list(
        found,
        {
            "NAME": lambda agent: agent["name"],
            "STATE": lambda agent: agent["state"].replace("_", " "),
            "TUNNELS": lambda agent: agent["tunnels"],
            **(replicas if any(agent["max_instances"] != 1 for agent in found) else {}),
            "LAST HEARTBEAT": lambda agent: moment(agent["last_heartbeat_at"]),
            "VERSION": lambda agent: agent["version"],
            "HOST": lambda agent: agent["host"],
            "ID": lambda agent: agent["id"],
        },
        "No agent is like that: leave out --search or --state."
        if search or state
        else "No agent is registered: integration-server agents create NAME makes one.",
        as_json=as_json,
    )


@agents.command(epilog="\b\nExample:\n  integration-server agents show warehouse")
@click.argument("agent", metavar="NAME|ID")
@on_admin_api
def show(api: AdminApi, agent: str, as_json: bool) -> None:
    """Show an agent: its state, its processes, and the stores that its own settings open."""
    found = api.get("agents", agent)
    if as_json:
        print_json(found)
    else:
        show_agent(found)


@agents.command(
    epilog="""\b
Examples:
  integration-server agents update warehouse --max-instances 2
  integration-server agents update warehouse --description "rack 4, ask Anne"

The next login counts with the new number. Instances that are connected stay, also when they are more; stop one there.
"""
)
@click.argument("agent", metavar="NAME|ID")
@click.option("--name", help="Another name; connections keep using it.")
@click.option("--max-instances", type=int, help="Processes that may serve at once.")
@click.option("--description", help="Where it runs, whom to ask; empty to drop it.")
@on_admin_api
def update(
    api: AdminApi, agent: str, name: str | None, max_instances: int | None, description: str | None, as_json: bool
) -> None:
    """Change an agent; its access token and its tunnels stay."""
    given = {"name": name, "max_instances": max_instances, "description": description}
    print_outcome(
        api.patch("agents", agent, body={name: value for name, value in given.items() if value is not None}),
        "Agent {name} ({id}) is updated; max instances: {max_instances}.",
        as_json=as_json,
    )


@agents.command(epilog="\b\nExample:\n  integration-server agents revoke warehouse")
@click.argument("agent", metavar="NAME|ID")
@on_admin_api
def revoke(api: AdminApi, agent: str, as_json: bool) -> None:
    """Make an agent's token worthless and cut its tunnels at once."""
    print_outcome(
        api.post("agents", agent, "revoke"), "Agent {name} ({id}) is revoked; its tunnels are cut.", as_json=as_json
    )


@agents.command(
    epilog="""\b
Examples:
  integration-server agents rotate warehouse
  integration-server agents rotate warehouse --grace 2h

The new token works at once. Put it into the agent's token file and restart the agent before the grace period ends.
"""
)
@click.argument("agent", metavar="NAME|ID")
@click.option(
    "--grace", default="24h", show_default=True, metavar="TIME", help="How long the old one works: 90m, 24h, 7d, 0."
)
@on_admin_api
def rotate(api: AdminApi, agent: str, grace: str, as_json: bool) -> None:
    """Mint a new access token and print it, this once; the old one works on for a while."""
    made = api.post("agents", agent, "rotate", body={"grace_period_s": grace_seconds(grace)})
    if as_json:
        print_json(made)
    else:
        show_rotated(made, grace)


@agents.command("end-old-tokens", epilog="\b\nExample:\n  integration-server agents end-old-tokens warehouse")
@click.argument("agent", metavar="NAME|ID")
@on_admin_api
def end_old_tokens(api: AdminApi, agent: str, as_json: bool) -> None:
    """End replaced tokens now, and cut the tunnels that use them."""
    print_outcome(
        api.post("agents", agent, "end-old-tokens"), "The old tokens of agent {name} ({id}) are ended.", as_json=as_json
    )


@agents.command(epilog="\b\nExample:\n  integration-server agents clone warehouse --name warehouse-2")
@click.argument("agent", metavar="NAME|ID")
@click.option("--name", required=True, help="The name of the new agent.")
@on_admin_api
def clone(api: AdminApi, agent: str, name: str, as_json: bool) -> None:
    """Register an agent that is set up like another one, and print its access token, this once."""
    made = api.post("agents", agent, "clone", body={"name": name})
    if as_json:
        print_json(made)
    elif made["access_token"] is None:
        show_plain(made)
    else:
        show_token(made)


@agents.command(epilog="\b\nExample:\n  integration-server agents disable warehouse")
@click.argument("agent", metavar="NAME|ID")
@on_admin_api
def disable(api: AdminApi, agent: str, as_json: bool) -> None:
    """Cut an agent's tunnels and turn it away; its token stays."""
    print_outcome(
        api.post("agents", agent, "disable"), "Agent {name} ({id}) is disabled; its tunnels are cut.", as_json=as_json
    )


@agents.command(epilog="\b\nExample:\n  integration-server agents enable warehouse")
@click.argument("agent", metavar="NAME|ID")
@on_admin_api
def enable(api: AdminApi, agent: str, as_json: bool) -> None:
    """Let an agent connect again; it tries once a minute at least."""
    print_outcome(api.post("agents", agent, "enable"), "Agent {name} ({id}) is enabled.", as_json=as_json)


@agents.command(epilog="\b\nExample:\n  integration-server agents delete warehouse --yes")
@click.argument("agent", metavar="NAME|ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@on_admin_api
def delete(api: AdminApi, agent: str, yes: bool, as_json: bool) -> None:
    """Delete an agent that no connection uses, and cut its tunnels."""
    if not yes:
        click.confirm(f"Delete agent {agent} with its access tokens?", abort=True, err=True)
    print_outcome(api.delete("agents", agent), "Agent {name} is deleted.", as_json=as_json)
