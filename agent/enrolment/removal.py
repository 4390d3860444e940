"""What an enrolment and a running agent leave on this machine, and taking it away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.access_files import access_files
from agent.enrolment.places import AgentPlaces
from agent.errors import SettingsError, StartError
from agent.instance import ID_NAME, LOCK_NAME
from agent.local_socket import SOCKET_NAME
from agent.locations import Locations
from agent.pause_file import FILE_NAME as PAUSE_NAME
from agent.settings import load_agent_settings
from agent.source import ACCESS_NAME, access_log_dir

# A closed list: a state directory that the settings name may hold anything else, other instances' directories, too.
_STATE: Final = (ID_NAME, f"{ID_NAME}.new", LOCK_NAME, PAUSE_NAME, f".{PAUSE_NAME}.part")


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The files of one agent. ``trouble`` says why the settings do not tell where they are, "" when they do."""

    locations: Locations
    access_dir: Path
    settings_file: Path
    trouble: str

    @classmethod
    def of(cls, places: AgentPlaces) -> Leftovers:
        """Where they are by the settings; by default where these cannot be read."""
        file = places.settings_file
        try:
            config = file if os.path.lexists(file) else Path(os.devnull)
            settings, locations = load_agent_settings(config, places.environ, {}, is_root=places.is_root)
        except SettingsError as error:
            locations = Locations.of(places.environ, is_root=places.is_root)
            return cls(locations, locations.state_dir / ACCESS_NAME, file, str(error))
        return cls(locations, access_log_dir(settings, locations), file, "")

    def there(self, *, with_settings: bool) -> list[Path]:
        """Those that exist."""
        return [path for path in self._all(with_settings=with_settings) if os.path.lexists(path)]

    def remove(self, *, with_settings: bool) -> None:
        """Take them away, and the directories that are empty then.

        Raises:
            StartError: one of them cannot be removed; those before it are gone.
        """
        for path in self.there(with_settings=with_settings):
            try:
                path.unlink()
            except OSError as error:
                raise StartError(
                    f"{path} cannot be removed ({error.strerror}): run this as root (sudo), or as its owner."
                ) from None
        for directory in (
            self.access_dir,
            self.locations.state_dir,
            self.locations.runtime_dir,
            self.locations.token_file.parent,
            self.settings_file.parent,
        ):
            with contextlib.suppress(OSError):  # not empty, or not ours
                directory.rmdir()

    def _all(self, *, with_settings: bool) -> Iterator[Path]:
        places = self.locations
        yield places.token_file
        yield places.token_file.with_name(f".{places.token_file.name}.part")
        for name in _STATE:
            yield places.state_dir / name
        with contextlib.suppress(OSError):
            yield from (file.path for file in access_files(self.access_dir))
        yield places.runtime_dir / SOCKET_NAME
        yield self.settings_file.with_name(f".{self.settings_file.name}.part")
        if with_settings:
            yield self.settings_file
