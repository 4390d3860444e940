"""``prestashop-agent doctor``: which layer fails between this machine, its servers and its stores."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from agent.cli.options import FILE, config_file, config_option, given_settings, token_file_option
from agent.errors import SettingsError

if TYPE_CHECKING:
    from agent.doctor.examination import Examination
    from agent.store_url import Store

_About = TypeVar("_About")


@click.command(
    epilog="""\b
Examples:
  sudo prestashop-agent doctor                   everything, of the system service
  prestashop-agent doctor --no-stores            this machine and the server only
  prestashop-agent doctor --store https://shop.example.com/api/
  sudo prestashop-agent doctor --bundle help.tar.gz

Works beside the running agent: it logs in as a probe, which never serves. Nothing is changed. The stores are asked
with a key that does not exist.

\b
Exit codes:
  0   nothing failed; warnings alone are 0, too
  1   something failed
  78  settings or access token cannot be used; what does not need them was looked at
"""
)
@config_option
@token_file_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.option("--store", "urls", multiple=True, metavar="URL", help="Look at this store only (several).")
@click.option("--no-stores", is_flag=True, help="Look at no store.")
@click.option("--bundle", type=FILE, metavar="FILE", help="Write an archive for support (.tar.gz) without secrets.")
@click.option("--yes", is_flag=True, help="With --bundle: write without showing the content and asking.")
@click.pass_context
def doctor(
    context: click.Context,
    config: Path | None,
    token_file: Path | None,
    as_json: bool,
    urls: tuple[str, ...],
    no_stores: bool,
    bundle: Path | None,
    yes: bool,
) -> int:
    """Find out which layer fails, and what to do.

    This machine, each server of the access token and each store of the settings are looked at, layer by layer. What a
    failure makes pointless to look at is one line.
    """
    from agent.cli.doctor_page import DoctorPage
    from agent.examination.examine import Scope, examine
    from agent.examination.machine import Source

    if yes and bundle is None:
        raise click.UsageError("--yes belongs to --bundle FILE.")
    if urls and no_stores:
        raise click.UsageError("--store and --no-stores exclude each other.")
    if as_json and bundle is not None and not yes:
        raise click.UsageError("--bundle asks before it writes, which --json cannot: add --yes.")
    stores = () if no_stores else _stores(urls) if urls else None
    page = DoctorPage(min(shutil.get_terminal_size().columns, 120))
    show = _echo_lines(page.lines)
    is_root = os.geteuid() == 0
    source = Source(config_file(context, config), dict(os.environ), given_settings(token_file=token_file), is_root)
    examination = asyncio.run(
        examine(
            source.config,
            source.environ,
            source.overrides,
            is_root=is_root,
            on_finding=None if as_json else show,
            scope=Scope(stores=stores),
        )
    )
    if as_json:
        click.echo(json.dumps(examination.to_json(), indent=2, ensure_ascii=False))
    else:
        _echo_lines(page.end)(examination)
    _say_unknown(urls, stores, examination)
    if bundle is not None:
        from agent.cli.bundle import write_bundle

        write_bundle(bundle, source, examination, is_sure=yes, is_silent=as_json)
    return examination.exit_code


def _stores(urls: tuple[str, ...]) -> tuple[Store, ...]:
    from agent.store_url import read_store_url

    found: list[Store] = []
    for url in urls:
        try:
            found += read_store_url(url).candidates
        except SettingsError as error:
            raise click.UsageError(f"--store: {error}") from None
    return tuple(found)


def _say_unknown(urls: tuple[str, ...], stores: tuple[Store, ...] | None, examination: Examination) -> None:
    """A store that was asked for and is not in the settings must not look like one that is well."""
    from agent.doctor.finding import Subject

    if urls and stores and not any(each.subject is Subject.STORE for each in examination.findings):
        raise SettingsError(
            "The settings open no store at this address (prestashop-agent stores list shows them): correct --store, "
            "or open it with prestashop-agent stores add URL."
        )


def _echo_lines(make: Callable[[_About], Iterator[str]]) -> Callable[[_About], None]:
    color = False if os.environ.get("NO_COLOR") else None  # None: only on a terminal

    def show(about: _About) -> None:
        for line in make(about):
            click.echo(line, color=color)

    return show
