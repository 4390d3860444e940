"""``integration-server downloads``: the agent's packages that this server hands out. Files only; no server need run."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from agent.errors import StartError
from agent.server.cli.options import place_options, settings_of
from agent.server.cli.output import print_list
from agent.server.downloads import Downloads, kind_of
from agent.whole_file import whole_file

_COLUMNS: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "FILE": lambda each: each["name"],
    "MB": lambda each: f"{each['size_bytes'] / 1e6:.1f}",
    "SHA-256": lambda each: each["sha256"],
}


@click.group(
    epilog="""\b
Examples:
  integration-server downloads add ./prestashop-agent_1.0.0_amd64.deb
  integration-server downloads list
"""
)
def downloads() -> None:
    """The agent's packages, which the panel hands out under /downloads/ to whoever asks."""


@downloads.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, for programs.")
@place_options
@click.pass_context
def list_(context: click.Context, config: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Show the packages, newest first, with their sums."""
    folders = settings_of(context, config, data_dir).downloads_dirs
    found = [asdict(package) for package in asyncio.run(Downloads(folders).packages())]
    empty = f"No package is in {folders[0]}: put one there with integration-server downloads add FILE."
    print_list(found, _COLUMNS, empty, as_json=as_json)


@downloads.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--replace", is_flag=True, help="Also where a file of this name is there.")
@place_options
@click.pass_context
def add(
    context: click.Context, config: Path | None, data_dir: Path | None, files: tuple[Path, ...], replace: bool
) -> None:
    """Copy packages of the agent to where they are handed out."""
    folder = settings_of(context, config, data_dir).downloads_dirs[0]
    for file in files:
        _add(file, folder, replace=replace)
        click.echo(f"{file.name} is in {folder}. The page Agents of the panel has the line that installs it.")


def _add(file: Path, folder: Path, *, replace: bool) -> None:
    try:
        if kind_of(file) is None:
            raise StartError(
                f"{file} is no package of the agent: give a file with a name such as "
                "prestashop-agent_1.0.0_amd64.deb or prestashop-agent-1.0.0-1.x86_64.rpm, as it was built."
            )
        if (folder / file.name).is_symlink():  # root follows no link of the server's own user
            raise StartError(f"{folder / file.name} is a symbolic link: remove it, then add the package again.")
        folder.mkdir(mode=0o755, exist_ok=True)
        with file.open("rb") as source, whole_file(folder / file.name, may_replace=replace) as copy:
            shutil.copyfileobj(source, copy)
            os.fchmod(copy.fileno(), 0o644)  # root may put it there, and the server's own user reads it
    except FileExistsError:
        raise StartError(f"{folder / file.name} is there already: --replace puts this one in its place.") from None
    except OSError as error:
        raise StartError(
            f"{file} cannot be copied to {folder} ({error.strerror}): run this command as root or as the user of "
            "integration-server, whose data directory is there after its first start."
        ) from None
