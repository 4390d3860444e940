"""The settings of one agent as a command changes them: its stores, with the file's comments kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.enrolment.places import AgentPlaces
from agent.enrolment.store_plan import StorePlan, StoreWish, plan_store
from agent.errors import SettingsError
from agent.locations import Locations
from agent.opening import Opening, read_openings
from agent.settings import AgentSettings, load_agent_settings
from agent.settings_file import SettingsFile
from agent.settings_proxy import read_proxy_route

_STORES_VARIABLE: Final = "PRESTASHOP_AGENT_STORES"


@dataclass(frozen=True, slots=True)
class SettingsNow:
    """The settings as they are: the file, what they say, where this agent's files are, and what they open."""

    of: AgentPlaces
    file: SettingsFile
    settings: AgentSettings
    locations: Locations
    openings: tuple[Opening, ...]

    @classmethod
    def read(cls, of: AgentPlaces, *, must_exist: bool = False) -> SettingsNow:
        """Read them; a file that is missing opens nothing, unless it ``must_exist``.

        Raises:
            SettingsError: they cannot be used as they are: that is to be mended first.
        """
        path = of.settings_file
        file = SettingsFile.read(path, new_mode=0o644 if of.is_root else 0o600)
        if any(name.upper() == _STORES_VARIABLE and value for name, value in of.environ.items()):
            raise SettingsError(
                f"The environment variable {_STORES_VARIABLE} sets the stores, so that the settings file cannot: "
                "unset it, or change it there."
            )
        # An empty file stands for one that is not there: no name would mean the file of the default place.
        config = path if file.content is not None or must_exist else Path(os.devnull)
        settings, locations = load_agent_settings(config, of.environ, {}, is_root=of.is_root)
        return cls(of, file, settings, locations, read_openings(settings.stores))

    async def plans(self, wishes: Sequence[StoreWish]) -> list[StorePlan]:
        """How the wishes become part of them, one after the other. Raises SettingsError."""
        there = list(self.openings)
        found = []
        for wish in wishes:
            plan = await plan_store(wish, there, self.settings.timeouts)
            if plan.index is None:
                there.append(plan.opening)
            else:
                there[plan.index] = plan.opening
            found.append(plan)
        return found

    def edited(self, plans: Sequence[StorePlan]) -> str:
        """The text of the file with ``plans`` made. Raises SettingsError."""
        from agent.settings_edit import with_changed_store, with_store

        text = self.file.text
        for plan in plans:
            if plan.index is None:
                text = with_store(text, plan.values)
            elif plan.values:
                text = with_changed_store(text, plan.index, plan.values)
        return text

    def replace(self, text: str) -> bool:
        """Put ``text`` into the file once it was seen to load; False when it stands there already.

        Raises:
            SettingsError: it would not load; StartError: it cannot be written. The file is as it was.
        """
        return self.file.replace(text, self._try_out)

    def _try_out(self, path: Path) -> None:
        """Everything that a start or a reload would look at, but the stores themselves."""
        settings, _ = load_agent_settings(path, self.of.environ, {}, is_root=self.of.is_root)
        read_proxy_route(settings.proxy, self.of.environ)
        for opening in read_openings(settings.stores):
            opening.target(settings.timeouts)
