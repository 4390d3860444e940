"""This machine: settings, token, state directory, the running agent, its unit, limits, versions."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.doctor.finding import OwnLayer
from agent.errors import SettingsError, TokenError
from agent.examination.notes import Notes
from agent.locations import Locations
from agent.opening import Opening, read_openings
from agent.settings import AgentSettings, load_agent_settings
from agent.settings_proxy import read_proxy_route
from agent.store_command import add_command
from agent.tunnel.proxy_route import ProxyRoute
from agent.tunnel.token import AccessToken, read_token_file

_MEND: Final = "Correct it (prestashop-agent config check looks again); the agent does not start like this."


@dataclass(frozen=True, slots=True)
class Source:
    """Where settings come from, as the daemon's."""

    config: Path | None
    environ: Mapping[str, str]
    overrides: Mapping[str, Any]
    is_root: bool


@dataclass(frozen=True, slots=True)
class Given:
    """What the settings come to; ``settings`` None: they cannot be read, and ``places`` are the default ones."""

    settings: AgentSettings | None
    places: Locations
    openings: tuple[Opening, ...] = ()
    route: ProxyRoute | None = None
    usable: bool = True


def look_at_settings(source: Source, notes: Notes) -> Given:
    """Read settings, store addresses and proxy; what is wrong is told."""
    notes.begin()
    layer = OwnLayer.SETTINGS
    try:
        settings, places = load_agent_settings(source.config, source.environ, source.overrides, is_root=source.is_root)
    except SettingsError as error:
        notes.failed(layer, "settings_unusable", str(error), _MEND)
        places = Locations.of(source.environ, is_root=source.is_root)
        given = source.overrides.get("token_file")
        return Given(
            None, places.chosen(config_file=None, token_file=given, state_dir=None, runtime_dir=None), usable=False
        )
    usable = True
    openings: tuple[Opening, ...] = ()
    route = None
    try:
        route = read_proxy_route(settings.proxy, source.environ)
    except SettingsError as error:
        notes.failed(layer, "proxy_settings_unusable", str(error), _MEND)
        usable = False
    try:
        openings = read_openings(settings.stores)
    except SettingsError as error:
        notes.failed(layer, "settings_unusable", str(error), _MEND)
        usable = False
    if usable:
        _tell_settings(places, openings, notes)
    return Given(settings, places, openings, route, usable)


def _tell_settings(places: Locations, openings: tuple[Opening, ...], notes: Notes) -> None:
    layer = OwnLayer.SETTINGS
    shown = str(places.config_file) if places.config_present else "No settings file, everything has its default"
    if places.config_present and (mode := _mode(places.config_file)) is not None and mode & 0o022:
        notes.warning(
            layer,
            "settings_writable_by_others",
            f"{places.config_file} can be written by others (mode {mode:04o}): they can open any store.",
            f"chmod go-w {places.config_file}",
        )
    elif not openings:
        notes.warning(
            layer,
            "no_store_open",
            f"{shown}; no store is open, so that nothing can be reached.",
            f"Open one: {add_command()}, with the address of the shop or of its back office.",
        )
    else:
        many = "1 store is" if len(openings) == 1 else f"{len(openings)} stores are"
        notes.ok(layer, f"{shown}; {many} open.", facts={"stores": len(openings)})


def look_at_token(given: Given, notes: Notes) -> AccessToken | None:
    """Read the token; None when it cannot be used, which is told."""
    notes.begin()
    layer = OwnLayer.TOKEN
    places = given.places
    path = places.token_file
    if given.settings is None and _mode(path) is None:
        notes.skipped(layer, "Not looked at: the settings may name another place for it (--token-file does, too).")
        return None
    try:
        token = read_token_file(path, is_credential=places.token_is_credential)
    except TokenError as error:
        verdict, remedy = _token_verdict(path)
        finding = str(error)
        if verdict != "token_unusable":  # the remedy gives the advice behind the colon
            finding = f"{finding.partition(': ')[0]}."
        notes.failed(layer, verdict, finding, remedy)
        return None
    shown = "the systemd credential" if places.token_is_credential else str(path)
    notes.ok(layer, f"{shown}: agent {token.agent_id}, server {', '.join(token.servers)}.")
    return token


def _token_verdict(path: Path) -> tuple[str, str]:
    """Told apart by the file, not by the text of an error."""
    mode = _mode(path)
    if mode is None:
        return (
            "token_missing",
            "Run prestashop-agent enroll and paste the server's token, or name its file (--token-file).",
        )
    if not os.access(path, os.R_OK, effective_ids=True):
        return "token_unreadable", "Run this command as root (sudo), or as the user that runs prestashop-agent."
    if mode & 0o077:
        return "token_open_to_others", f"chmod 600 {path}; make a new token if somebody may have read it."
    return "token_unusable", "Copy the whole token again, or make a new one on the integration server."


def look_at_state(places: Locations, notes: Notes) -> int | None:
    """The state directory and its lock; the process that holds it, None for nobody. Nothing is written."""
    notes.begin()
    layer = OwnLayer.STATE
    directory = places.state_dir
    mode = _mode(directory)
    if mode is None:
        notes.ok(layer, f"{directory} is not there yet; the agent makes it at its first start.")
        return None
    if not directory.is_dir() or not os.access(directory, os.W_OK | os.X_OK):
        notes.warning(
            layer,
            "state_not_writable",
            f"{directory} cannot be written by this user.",
            "Run this command as the user that runs the agent, or as root; if it is, give the directory to that user.",
        )
        return None
    if mode & 0o022:
        notes.warning(
            layer,
            "state_open_to_others",
            f"{directory} can be written by others (mode {mode:04o}).",
            f"chmod 700 {directory}",
        )
        return lock_holder(directory)
    holder = lock_holder(directory)
    used = f"in use by process {holder}" if holder is not None else "not in use"
    notes.ok(layer, f"{directory} is {used}.")
    return holder


def lock_holder(directory: Path) -> int | None:
    """Who holds the instance lock, from /proc/locks: to try the lock would keep a starting agent out."""
    from agent.instance import LOCK_NAME

    try:
        status = (directory / LOCK_NAME).stat()
        lines = Path("/proc/locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in lines:
        fields = line.split()
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5] == inode and fields[4].isdigit():
            return int(fields[4])
    return None


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
