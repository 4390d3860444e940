"""What is printed once of a new agent: its access token and how to install it."""

from __future__ import annotations

import re
from typing import Any

import click

from agent.server.stock_ssh import stock_ssh_command

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def grace_seconds(text: str) -> int:
    """``24h`` as seconds. Raises click.BadParameter."""
    found = re.fullmatch(r"([0-9]{1,7})([smhd]?)", text.strip().lower())
    if found is None:
        raise click.BadParameter("write 90m, 24h, 7d, or 0.", param_hint="--grace")
    return int(found[1]) * _UNITS[found[2]]


def show_token(made: dict[str, Any]) -> None:
    """The token of prestashop-agent, and how it is installed."""
    click.echo(f"Agent {made['agent']['name']} is registered. Its access token, shown this once:\n")
    click.echo(made["access_token"])
    click.echo(
        "\nOn a machine of the store's network where prestashop-agent is installed, run this and paste the token:\n"
        "  sudo prestashop-agent enroll --store https://shop.example.com/"
    )


def show_rotated(made: dict[str, Any], grace: str) -> None:
    """The new token of an agent that has one already."""
    name = made["agent"]["name"]
    click.echo(f"The new access token of agent {name}, shown this once; it works at once:\n")
    click.echo(made["access_token"])
    if grace_seconds(grace) == 0:
        click.echo("\nThe old token has ended. On the agent's machine, run this and paste the new one:")
        click.echo("  sudo prestashop-agent enroll")
        return
    click.echo(
        f"\nThe old token works for {grace} more. On the agent's machine, run this and paste the new one:\n"
        "  sudo prestashop-agent enroll\n"
        "then here:\n"
        f"  integration-server agents end-old-tokens {name}"
    )


def show_plain(made: dict[str, Any]) -> None:
    """The command and the password of a stock ssh client."""
    agent = made["agent"]
    click.echo(f"Agent {agent['name']} is registered for a stock ssh client and for {agent['plain_store']} only.")
    click.echo("\nThe server's line for ~/.ssh/known_hosts (ssh cannot check a fingerprint by itself):\n")
    click.echo(made["known_hosts_line"])
    click.echo("\nThe command, on the store's network:\n")
    click.echo(stock_ssh_command(agent["id"], agent["plain_store"], made["ssh_address"]))
    click.echo("\nThe password it asks for, shown this once:\n")
    click.echo(made["secret"])
