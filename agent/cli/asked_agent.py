"""Which agent of this machine a command asks: the only one, that of a settings file, or that of an instance."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.options import config_file

if TYPE_CHECKING:  # what is imported late makes commands start quickly
    from agent.locations import Locations
    from agent.settings import AgentSettings


@dataclass(frozen=True, slots=True)
class AskedAgent:
    """Its settings and places; ``named_file`` is the settings file by which it was named, None when it was not."""

    settings: AgentSettings
    places: Locations
    elsewhere: tuple[Path, ...]
    named_file: Path | None

    @classmethod
    def find(cls, context: click.Context, config: Path | None, instance: str | None) -> AskedAgent:
        """The one that ``--config`` and ``--instance`` mean. Raises ``SettingsError``."""
        from agent.cli.local_client import usual_places
        from agent.enrolment.places import AgentPlaces
        from agent.settings import load_agent_settings

        is_root = os.geteuid() == 0
        meant = AgentPlaces.of(instance, config_file(context, config), dict(os.environ), is_root=is_root)
        settings, places = load_agent_settings(meant.config, meant.environ, {}, is_root=is_root)
        is_somewhere = settings.runtime_dir is not None or instance is not None
        named = meant.config is not None or instance is not None
        return cls(
            settings,
            places,
            () if is_somewhere else usual_places(os.environ, os.geteuid()),
            meant.settings_file if named else None,
        )

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """As ``ask_agent``; an agent that was named is the only one to do what changes something."""
        from agent.cli.local_client import ask_agent

        if self.named_file is not None:
            arguments["settings_file"] = str(self.named_file.resolve())
        return ask_agent(self.places.runtime_dir, command, elsewhere=self.elsewhere, **arguments)
