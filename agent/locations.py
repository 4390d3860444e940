"""Where the agent's files are when nothing else is said: system directories, or those of the user (XDG)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

NAME: Final = "prestashop-agent"
SYSTEM_RUNTIME_DIR: Final = Path("/run") / NAME


@dataclass(frozen=True, slots=True)
class Locations:
    """The files and directories of one agent.

    ``config_present`` is False when there is no settings file; ``token_is_credential`` is True when the token is the
    systemd credential, whose mode differs from a file's.
    """

    config_file: Path
    token_file: Path
    state_dir: Path
    runtime_dir: Path
    config_present: bool = False
    token_is_credential: bool = False

    @classmethod
    def of(cls, environ: Mapping[str, str], *, is_root: bool) -> Locations:
        """The default places.

        systemd's own variables (``CONFIGURATION_DIRECTORY``, ``STATE_DIRECTORY``, ``RUNTIME_DIRECTORY``, see
        systemd.exec(5)) come first, and ``CREDENTIALS_DIRECTORY/token`` where the unit has that credential; then
        the system's directories for root, and the XDG base directories for everybody else.
        """
        if is_root:
            config, state, runtime = Path("/etc") / NAME, Path("/var/lib") / NAME, SYSTEM_RUNTIME_DIR
        else:
            home = Path(environ.get("HOME") or "/")
            config = _xdg(environ, "XDG_CONFIG_HOME", home / ".config") / NAME
            state = _xdg(environ, "XDG_STATE_HOME", home / ".local/state") / NAME
            # Without XDG_RUNTIME_DIR (no login session) the state directory is the only safe place that is ours.
            runtime = _xdg(environ, "XDG_RUNTIME_DIR", state.parent) / NAME
        config = _systemd(environ, "CONFIGURATION_DIRECTORY", config)
        state = _systemd(environ, "STATE_DIRECTORY", state)
        runtime = _systemd(environ, "RUNTIME_DIRECTORY", runtime)
        credential = Path(environ.get("CREDENTIALS_DIRECTORY") or "/dev/null") / "token"
        given = _is_there(credential)
        token = credential if given else config / "token"
        return cls(config / "agent.toml", token, state, runtime, token_is_credential=given)

    def chosen(
        self, *, config_file: Path | None, token_file: Path | None, state_dir: Path | None, runtime_dir: Path | None
    ) -> Locations:
        """These places with what the settings say put in; ``config_file=None`` means that there is none."""
        return replace(
            self,
            config_file=config_file or self.config_file,
            config_present=config_file is not None,
            token_file=token_file or self.token_file,
            token_is_credential=self.token_is_credential and token_file in (None, self.token_file),
            state_dir=state_dir or self.state_dir,
            runtime_dir=runtime_dir or self.runtime_dir,
        )


def _is_there(credential: Path) -> bool:
    """True also for one that this process may not look at: systemd names the directory to a unit's ExecReload, too."""
    try:
        return credential.exists()
    except PermissionError:
        return True


def unit_of(environ: Mapping[str, str]) -> str:
    """The service of the agent that ``environ`` means: of the template, where its runtime directory is named."""
    runtime = Locations.of(environ, is_root=True).runtime_dir
    return f"{NAME}@{runtime.name}.service" if runtime.parent == SYSTEM_RUNTIME_DIR else f"{NAME}.service"


def _xdg(environ: Mapping[str, str], variable: str, default: Path) -> Path:
    """A relative path in an XDG variable is to be ignored (XDG base directory specification)."""
    given = Path(environ.get(variable) or "")
    return given if given.is_absolute() else default


def _systemd(environ: Mapping[str, str], variable: str, default: Path) -> Path:
    """systemd joins several directories by colons; the first one is ours."""
    first = environ.get(variable, "").split(":")[0]
    return Path(first) if first.startswith("/") else default
