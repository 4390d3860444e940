"""``integration-server agents``: create, list, update, revoke."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from agent.server.cli.admin import AdminApi, RefusedError
from agent.server.cli.options import on_admin_api
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
        _show_plain(made)
    else:
        _show_token(made)


def _show_token(made: dict[str, Any]) -> None:
    click.echo(f"Agent {made['agent']['name']} is registered. Its access token, shown this once:\n")
    click.echo(made["access_token"])
    click.echo(
        "\nOn the store's network, put it into a file that only the agent's user can read, and start the agent:\n"
        "  (umask 077; cat > token)          paste the token, Enter, Ctrl-D\n"
        "  cat > agent.toml                  name the stores that it opens, and Ctrl-D:\n"
        "    [[stores]]\n"
        '    url = "https://shop.example.com/api/"\n'
        "  prestashop-agent config check --config ./agent.toml --token-file ./token\n"
        "  prestashop-agent run --config ./agent.toml --token-file ./token"
    )


def _show_plain(made: dict[str, Any]) -> None:
    agent = made["agent"]
    host, _, port = made["ssh_address"].rpartition(":")
    origin = agent["plain_store"].partition("://")[2].partition("/")[0]
    store_host, _, store_port = origin.rpartition(":") if _has_port(origin) else (origin, "", "80")
    click.echo(f"Agent {agent['name']} is registered for a stock ssh client and for {agent['plain_store']} only.")
    click.echo("\nThe server's line for ~/.ssh/known_hosts (ssh cannot check a fingerprint by itself):\n")
    click.echo(made["known_hosts_line"])
    click.echo("\nThe command, on the store's network:\n")
    click.echo(
        f"ssh -N -o StrictHostKeyChecking=yes -o ExitOnForwardFailure=yes -o ServerAliveInterval=10 -p {port} "
        f"-R store:80:{store_host}:{store_port} {agent['id']}@{host.strip('[]')}"
    )
    click.echo("\nThe password it asks for, shown this once:\n")
    click.echo(made["secret"])


def _has_port(origin: str) -> bool:
    return ":" in origin.rpartition("]")[2]


@agents.command("list", epilog="\b\nExample:\n  integration-server agents list --json")
@on_admin_api
def list_(api: AdminApi, as_json: bool) -> None:
    """List the agents, with state and last heartbeat."""
    found = api.get("agents")
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
        "No agent is registered: integration-server agents create NAME makes one.",
        as_json=as_json,
    )


@agents.command(
    epilog="""\b
Examples:
  integration-server agents update warehouse --max-instances 2
  integration-server agents update warehouse --description "rack 4, ask Anne"

The next login counts with the new number. Instances that are connected stay, also when they are more; stop one there.
"""
)
@click.argument("agent", metavar="NAME|ID")
@click.option("--max-instances", type=int, help="Processes that may serve at once.")
@click.option("--description", help="Where it runs, whom to ask; empty to drop it.")
@on_admin_api
def update(api: AdminApi, agent: str, max_instances: int | None, description: str | None, as_json: bool) -> None:
    """Change an agent; its access token and its tunnels stay."""
    given = {"max_instances": max_instances, "description": description}
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
