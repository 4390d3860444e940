"""Which agent of this machine a command is about: its directories, its unit, its settings file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import SettingsError
from agent.locations import NAME, Locations

# What a unit's name can hold without escapes; `access` is a directory of the agent's own beside them.
_INSTANCE: Final = re.compile(r"(?!access\Z)[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_VARIABLES: Final = ("CONFIGURATION_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY")


@dataclass(frozen=True, slots=True)
class AgentPlaces:
    """``environ`` says where this agent's files are, in systemd's words; ``config`` is a file that was asked for.

    ``unit`` is its service, "" where none can be meant: without root, or with another settings file than the unit's.
    """

    environ: Mapping[str, str]
    config: Path | None
    unit: str
    is_root: bool
    instance: str | None = None

    @classmethod
    def of(cls, instance: str | None, config: Path | None, environ: Mapping[str, str], *, is_root: bool) -> AgentPlaces:
        """The places of the only agent, or of the one that ``prestashop-agent@INSTANCE.service`` runs.

        Raises:
            SettingsError: the name cannot be one of an instance.
        """
        unit = f"{NAME}.service"
        if instance is not None:
            if not _INSTANCE.fullmatch(instance):
                raise SettingsError(
                    "The name of an instance is 1 to 63 letters, digits, dots, dashes and underscores, begins with a "
                    "letter or a digit, and is not access: choose another one."
                )
            unit = f"{NAME}@{instance}.service"
            usual = Locations.of(environ, is_root=is_root)
            places = (usual.config_file.parent, usual.state_dir, usual.runtime_dir)
            own = {name: str(path / instance) for name, path in zip(_VARIABLES, places, strict=True)}
            environ = {**environ, **own}
        standard = Locations.of(environ, is_root=is_root).config_file
        is_standard = config is None or config == standard
        return cls(environ, config, unit if is_root and is_standard else "", is_root, instance)

    @property
    def settings_file(self) -> Path:
        """The file that is read and written."""
        return self.config or Locations.of(self.environ, is_root=self.is_root).config_file
