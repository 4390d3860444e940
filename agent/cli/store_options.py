"""What can be said of a store on the command line; ``enroll`` and ``stores add`` share it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from agent.enrolment.store_plan import StoreWish
from agent.errors import SettingsError

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--write", is_flag=True, help="Open every method; without it GET and HEAD only."),
    click.option("--methods", metavar="LIST", help='"read", "write" or a list such as GET,HEAD,PUT.'),
    click.option(
        "--resource", "resources", multiple=True, metavar="NAME", help="Open this resource only; repeat it for more."
    ),
    click.option("--connect", metavar="HOST[:PORT]", help="Where the store is, if not at its public address."),
    click.option(
        "--ca-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Private CA of the store's certificate (PEM).",
    ),
    click.option("--shop-host", metavar="HOST", help="The shop's own domain, where the URL holds another name."),
    click.option("--id-shop", metavar="ID", help='Multistore: the only shop number that is open, or "all".'),
)

instance_option = click.option(
    "--instance", metavar="NAME", help="The agent of prestashop-agent@NAME.service, with files of its own."
)


def store_options(command: F) -> F:
    """Add the options of a store to a command, which takes them as ``**of_store``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wish_of(url: str, of_store: dict[str, Any]) -> StoreWish:
    """A store as it was described. Raises SettingsError for what contradicts itself."""
    methods: str | tuple[str, ...] | None = of_store["methods"]
    if of_store["write"]:
        if methods is not None:
            raise SettingsError("--write and --methods were both given: say which methods are open once.")
        methods = "write"
    if isinstance(methods, str) and methods.lower() not in ("read", "write"):
        methods = tuple(each.strip() for each in methods.split(",") if each.strip())
    ca_file = of_store["ca_file"]
    return StoreWish(
        url,
        methods=methods,
        resources=of_store["resources"] or None,
        connect=of_store["connect"],
        ca_file=str(ca_file.absolute()) if ca_file is not None else None,
        shop_host=of_store["shop_host"],
        id_shop=of_store["id_shop"],
    )
