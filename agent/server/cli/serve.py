"""``integration-server serve``: the server, under systemd or by hand."""

from __future__ import annotations

import os
from pathlib import Path

import click

from agent.cli.options import no_fast_path_option
from agent.server.cli.options import place_options, settings_of


@click.command(
    epilog="""\b
Examples:
  integration-server serve
  integration-server serve --data-dir ./data --ssh-listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0 \\
      --ready-file ./ready.json

SIGTERM or Ctrl-C lets running exchanges finish, a second one leaves at once.
"""
)
@place_options
@click.option("--ssh-listen", metavar="HOST:PORT", help="Address for agents. Default: 0.0.0.0:2222.")
@click.option("--gateway-listen", metavar="HOST:PORT", help="Address for integrations. Default: 0.0.0.0:8080.")
@click.option("--panel-listen", metavar="HOST:PORT", help="Address for people and the API. Default: 0.0.0.0:8081.")
@click.option("--admin-socket", type=click.Path(path_type=Path), metavar="FILE", help="Socket for the commands.")
@click.option("--public-ssh-address", metavar="HOST:PORT", help="Address under which agents reach this server.")
@click.option("--public-gateway-url", metavar="URL", help="Address that integrations use.")
@click.option("--public-panel-url", metavar="URL", help="Address of the panel, in links that it makes.")
@click.option(
    "--allow-private-origin",
    "private_origins",
    multiple=True,
    metavar="NETWORK",
    help="Private address or network that mode Cloud may dial all the same; may be repeated.",
)
@click.option("--drain-timeout", type=float, metavar="SECONDS", help="Time for running exchanges at the end.")
@no_fast_path_option
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Default: info.")
@click.option("--log-format", type=click.Choice(["auto", "text", "json"]), help="Default: text on a terminal.")
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the actual ports here, as JSON, when all of them listen; removed at the end.",
)
@click.pass_context
def serve(
    context: click.Context,
    config: Path | None,
    data_dir: Path | None,
    ssh_listen: str | None,
    gateway_listen: str | None,
    panel_listen: str | None,
    admin_socket: Path | None,
    public_ssh_address: str | None,
    public_gateway_url: str | None,
    public_panel_url: str | None,
    private_origins: tuple[str, ...],
    drain_timeout: float | None,
    no_fast_path: bool,
    log_level: str | None,
    log_format: str | None,
    ready_file: Path | None,
) -> None:
    """Run the server until told to stop; prints one line per listener.

    The first start makes the data directory with database, SSH host key and key ring. Keep copies of both keys:
    agents pin the host key, and the key ring opens the stored API keys.
    """
    from agent.server.app import run_server

    settings = settings_of(
        context,
        config,
        data_dir,
        ssh__listen=ssh_listen,
        gateway__listen=gateway_listen,
        panel__listen=panel_listen,
        admin_socket=admin_socket,
        public_ssh_address=public_ssh_address,
        public_gateway_url=public_gateway_url,
        public_panel_url=public_panel_url,
        cloud__allow_private_origins=list(private_origins) or None,
        drain_timeout_s=drain_timeout,
        fast_path=False if no_fast_path else None,
        log__level=log_level,
        log__format=log_format,
    )
    run_server(settings, os.environ, click.echo, ready_file.absolute() if ready_file is not None else None)
