"""``prestashop-agent config check``: are the settings right, and what do they open?"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.options import config_file, config_option, given_settings, token_file_option
from agent.errors import SettingsError, TokenError

if TYPE_CHECKING:
    from agent.opening import Opening
    from agent.probe import ProbeResult
    from agent.settings import TimeoutSettings


@click.group()
def config() -> None:
    """Check the settings."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a store's address, and what the probe found there."""

    webservice: str
    probe: str
    detail: str


@dataclass(frozen=True, slots=True)
class StoreReport:
    """One store of the settings: what is open on it and what to know about it."""

    webservice: str
    methods: tuple[str, ...]
    resources: tuple[str, ...] | None
    connect: str
    host: str
    certain: bool
    readings: tuple[Reading, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole check. ``token_error`` says why the agent could not run: its id and servers are not known then."""

    settings_file: str | None
    token_file: str
    token_error: str | None
    agent_id: str
    servers: tuple[str, ...]
    state_dir: str
    proxy: str
    stores: tuple[StoreReport, ...]
    warnings: tuple[str, ...]


@config.command(
    epilog="""\b
Examples:
  prestashop-agent config check
  prestashop-agent config check --config ./agent.toml --json

Leaves with 0 when the agent could run, with 78 when it could not. Nothing is changed; stores are asked only where an
address can be read in several ways.
"""
)
@config_option
@token_file_option
@click.option("--no-probe", is_flag=True, help="Send nothing, even where an address can be read in several ways.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
@click.pass_context
def check(context: click.Context, config: Path | None, token_file: Path | None, no_probe: bool, as_json: bool) -> int:
    """Check the settings and show what is open.

    Settings file, access token and stores are looked at.
    """
    try:
        report = _check(config_file(context, config), token_file, probe=not no_probe)
    except SettingsError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "error": str(error)}, indent=2, ensure_ascii=False))
        raise
    if as_json:
        ok = {"ok": True} if report.token_error is None else {"ok": False, "error": report.token_error}
        click.echo(json.dumps({**ok, **asdict(report)}, indent=2, ensure_ascii=False))
    else:
        _show(report)
    if report.token_error is not None:
        raise TokenError(report.token_error)
    return 0


def _check(config: Path | None, token_file: Path | None, *, probe: bool) -> Report:
    from agent.opening import read_openings
    from agent.probe import probe_openings
    from agent.settings import load_agent_settings
    from agent.settings_proxy import read_proxy_route
    from agent.tunnel.proxy_route import describe_route
    from agent.tunnel.token import read_token_file

    settings, places = load_agent_settings(
        config, dict(os.environ), given_settings(token_file=token_file), is_root=os.geteuid() == 0
    )
    route = read_proxy_route(settings.proxy, os.environ)
    openings = read_openings(settings.stores)
    probed = asyncio.run(probe_openings(openings, settings.timeouts)) if probe else [(each, ()) for each in openings]
    stores = tuple(
        _store_report(given, decided, results, settings.timeouts)
        for given, (decided, results) in zip(openings, probed, strict=True)
    )
    warnings = () if stores else ("No store is open; to open one: prestashop-agent stores add URL",)
    try:
        token = read_token_file(places.token_file, is_credential=places.token_is_credential)
        token_error = None
    except TokenError as error:  # the stores are shown all the same
        token, token_error = None, str(error)
    return Report(
        settings_file=str(places.config_file) if places.config_present else None,
        token_file=str(places.token_file),
        token_error=token_error,
        agent_id=token.agent_id if token else "",
        servers=token.servers if token else (),
        state_dir=str(places.state_dir),
        proxy=describe_route(route, token.servers if token else ()),
        stores=stores,
        warnings=warnings,
    )


def _store_report(
    given: Opening, decided: Opening, results: Sequence[ProbeResult], timeouts: TimeoutSettings
) -> StoreReport:
    """What is said about one store; building its way in finds a CA file that cannot be used."""
    found = {result.store: result for result in results}
    dialer = decided.dialer(decided.store, timeouts)
    readings = given.candidates if not given.certain else ()
    return StoreReport(
        webservice=decided.store.webservice_url,
        methods=tuple(given.settings.methods),
        resources=given.settings.resources,
        connect=f"{dialer.host}:{dialer.port}" if given.settings.connect else "",
        host=given.settings.shop_host or "",
        certain=decided.certain,
        readings=tuple(
            Reading(store.webservice_url, found[store].verdict.value, found[store].detail)
            if store in found
            else Reading(store.webservice_url, "not asked", "")
            for store in readings
        ),
        warnings=tuple(decided.warnings()),
    )


def _show(report: Report) -> None:
    file = report.settings_file or "none, everything has its default"
    click.echo(f"Settings file    {file}")
    known = f"agent {report.agent_id}, server {', '.join(report.servers)}" if report.agent_id else "cannot be used"
    click.echo(f"Access token     {report.token_file}: {known}")
    click.echo(f"State directory  {report.state_dir}")
    click.echo(f"Proxy            {report.proxy}")
    for store in report.stores:
        click.echo(f"\nStore {store.webservice}")
        click.echo(f"  open           {', '.join(store.methods)} of {_resources(store)}")
        if store.connect:
            click.echo(f"  connects to    {store.connect}")
        if store.host:
            click.echo(f"  Host           {store.host}")
        for reading in store.readings:
            detail = f": {reading.detail}" if reading.detail else ""
            click.echo(f"  could be       {reading.webservice} ({reading.probe}{detail})")
        if not store.certain:
            click.echo(f'  warning        the address can be read in several ways: write url = "{store.webservice}"')
        for warning in store.warnings:
            click.echo(f"  warning        {warning}")
    for warning in report.warnings:
        click.echo(f"\nWarning: {warning}")
    many = len(report.stores)
    warned = report.warnings or any(store.warnings or not store.certain for store in report.stores)
    if report.token_error is None:
        good = "can be used, with the warnings above" if warned else "are good"
        click.echo(f"\nThe settings {good}: {many} {'store is' if many == 1 else 'stores are'} open.")


def _resources(store: StoreReport) -> str:
    return "all resources" if store.resources is None else ", ".join(store.resources) or "no resource"
