"""Where the agent looks for its files: as root, as another user, under systemd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.errors import SettingsError
from agent.locations import unit_of
from agent.settings import load_agent_settings


def places(
    environ: dict[str, str], *, is_root: bool = False, overrides: dict[str, Any] | None = None
) -> dict[str, str]:
    _, found = load_agent_settings(None, environ, overrides or {}, is_root=is_root)
    return {
        "config": str(found.config_file),
        "token": str(found.token_file),
        "state": str(found.state_dir),
        "runtime": str(found.runtime_dir),
    }


def test_root_uses_the_directories_of_the_system() -> None:
    assert places({}, is_root=True) == {
        "config": "/etc/prestashop-agent/agent.toml",
        "token": "/etc/prestashop-agent/token",
        "state": "/var/lib/prestashop-agent",
        "runtime": "/run/prestashop-agent",
    }


def test_others_use_their_xdg_directories(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_STATE_HOME": "relative/is/ignored"}
    assert places(home) == {
        "config": f"{tmp_path}/.config/prestashop-agent/agent.toml",
        "token": f"{tmp_path}/.config/prestashop-agent/token",
        "state": f"{tmp_path}/.local/state/prestashop-agent",
        "runtime": f"{tmp_path}/run/prestashop-agent",
    }
    moved = {**home, "XDG_CONFIG_HOME": str(tmp_path / "etc")}
    assert places(moved)["config"] == f"{tmp_path}/etc/prestashop-agent/agent.toml"


def test_systemd_says_where_things_are(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    environ = {
        "HOME": str(tmp_path),
        "CONFIGURATION_DIRECTORY": str(tmp_path / "etc"),
        "STATE_DIRECTORY": f"{tmp_path}/lib:{tmp_path}/other",
        "RUNTIME_DIRECTORY": str(tmp_path / "run"),
        "CREDENTIALS_DIRECTORY": str(credentials),
    }
    without = places(environ)
    assert without["token"] == f"{tmp_path}/etc/token"
    (credentials / "token").write_text("x")
    assert places(environ) == {
        "config": f"{tmp_path}/etc/agent.toml",
        "token": f"{credentials}/token",
        "state": f"{tmp_path}/lib",
        "runtime": f"{tmp_path}/run",
    }
    chosen = places(environ, overrides={"token_file": str(tmp_path / "mine")})
    assert chosen["token"] == str(tmp_path / "mine")


def test_the_file_at_its_default_place_is_read_and_none_is_no_error(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PRESTASHOP_AGENT_CONFIG": "read by the command line"}
    settings, found = load_agent_settings(None, environ, {}, is_root=False)
    assert (settings.tunnels, found.config_present) == (2, False)
    file = tmp_path / ".config/prestashop-agent/agent.toml"
    file.parent.mkdir(parents=True)
    file.write_text("tunnels = 5\n")
    settings, found = load_agent_settings(None, environ, {}, is_root=False)
    assert (settings.tunnels, found.config_present, found.config_file) == (5, True, file)
    file.unlink()
    file.symlink_to(tmp_path / "gone")
    with pytest.raises(SettingsError, match="There is no settings file"):
        load_agent_settings(None, environ, {}, is_root=False)


def test_the_service_of_an_agent_is_known_by_its_runtime_directory() -> None:
    assert unit_of({}) == "prestashop-agent.service"
    assert unit_of({"RUNTIME_DIRECTORY": "/run/prestashop-agent"}) == "prestashop-agent.service"
    assert unit_of({"RUNTIME_DIRECTORY": "/run/prestashop-agent/lyon"}) == "prestashop-agent@lyon.service"
