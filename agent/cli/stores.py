"""``prestashop-agent stores``: open a store, close it, list those that are open."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import click

from agent.cli.options import config_file, config_option
from agent.cli.store_options import instance_option, store_options, wish_of

_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
_no_reload_option = click.option(
    "--no-reload", is_flag=True, help="Write the file only; the running agent is not told."
)


@click.group()
def stores() -> None:
    """Open stores to the integration server, close them, list them.

    The settings file is edited, its comments kept, and the running agent reads it anew.
    """


@stores.command(
    epilog="""\b
Examples:
  sudo prestashop-agent stores add https://shop.example.com/            reading only
  sudo prestashop-agent stores add https://shop.example.com/ --write    every method
  prestashop-agent stores add shop.example.com --resource products --resource orders

The address of the shop, of its back office or of its webservice, as the browser shows it; tokens and keys in it are not
kept. A store that is open already only ever gets more: to open less, remove it and add it again. Leaves with 0 also
when nothing had to be changed, with 1 when the running agent refuses the settings (they are written, those from before
are in force), with 78 for what cannot be used; then nothing is written.
"""
)
@click.argument("url")
@store_options
@config_option
@instance_option
@_no_reload_option
@_json_option
@click.pass_context
def add(
    context: click.Context,
    /,
    url: str,
    config: Path | None,
    instance: str | None,
    no_reload: bool,
    as_json: bool,
    **of_store: Any,  # noqa: ANN401 - the options of a store
) -> int:
    """Open the store at URL, or change what is open of it."""
    from agent.cli.said import Said
    from agent.cli.settings_reload import tell_agent
    from agent.enrolment.settings_change import SettingsNow
    from agent.enrolment.store_lines import plan_json, plan_lines

    said = Said(as_json=as_json)
    with said.errors_told():
        now = SettingsNow.read(_places(context, config, instance))
        [plan] = asyncio.run(now.plans([wish_of(url, of_store)]))
        changed = now.replace(now.edited([plan]))
        said.say_all(plan_lines(plan))
        said.say("Settings", f"{now.file.path}: {'written' if changed else 'nothing to change'}")
        told = tell_agent(now, said, asked=changed and not no_reload)
        said.end({"changed": changed, "settings_file": str(now.file.path), **plan_json(plan), **told})
        return 0


@stores.command(
    epilog="""\b
Example:
  sudo prestashop-agent stores remove https://shop.example.com/

Any way of writing the address does. Exchanges that run end; new ones are refused. A store that is not open is no error.
"""
)
@click.argument("url")
@config_option
@instance_option
@_no_reload_option
@_json_option
@click.pass_context
def remove(
    context: click.Context, url: str, config: Path | None, instance: str | None, no_reload: bool, as_json: bool
) -> int:
    """Close the store at URL."""
    from agent.cli.said import Said
    from agent.cli.settings_reload import tell_agent
    from agent.enrolment.settings_change import SettingsNow
    from agent.enrolment.store_plan import find_store
    from agent.settings_edit import without_store

    said = Said(as_json=as_json)
    with said.errors_told():
        now = SettingsNow.read(_places(context, config, instance))
        index = find_store(url, now.openings)
        if index is None:
            others = ", ".join(str(opening.store) for opening in now.openings) or "none"
            said.say("Store", f"No store of this address is open in {now.file.path}; open are: {others}.")
            said.end({"changed": False, "settings_file": str(now.file.path), "store": None})
            return 0
        store = now.openings[index].store
        now.replace(without_store(now.file.text, index))
        said.say("Store", f"{store}: closed")
        said.say("Settings", f"{now.file.path}: written")
        told = tell_agent(now, said, asked=not no_reload)
        said.end({"changed": True, "settings_file": str(now.file.path), "store": str(store), **told})
        return 0


@stores.command("list", epilog="\b\nExample:\n  prestashop-agent stores list --json")
@config_option
@instance_option
@_json_option
@click.pass_context
def list_(context: click.Context, config: Path | None, instance: str | None, as_json: bool) -> int:
    """List the stores of the settings file, and what is open of each; nothing is asked or changed."""
    from agent.cli.said import Said
    from agent.enrolment.settings_change import SettingsNow
    from agent.enrolment.store_lines import opening_json, opening_lines

    said = Said(as_json=as_json)
    with said.errors_told():
        now = SettingsNow.read(_places(context, config, instance))
        for opening in now.openings:
            said.say("Store", str(opening.store))
            said.say_all(opening_lines(opening))
            if not opening.certain:
                said.say(
                    "  warning",
                    "The address can be read in several ways: prestashop-agent config check asks the store.",
                )
            said.say_all(("  warning", sentence) for sentence in opening.warnings())
        if not now.openings:
            said.say("Stores", f"None is open in {now.file.path}. To open one: prestashop-agent stores add URL")
        said.end(
            {
                "settings_file": str(now.file.path),
                "stores": [
                    {**opening_json(each), "certain": each.certain, "warnings": each.warnings()}
                    for each in now.openings
                ],
            }
        )
        return 0


def _places(context: click.Context, config: Path | None, instance: str | None) -> Any:  # noqa: ANN401 - imported late
    from agent.enrolment.places import AgentPlaces

    return AgentPlaces.of(instance, config_file(context, config), dict(os.environ), is_root=os.geteuid() == 0)
