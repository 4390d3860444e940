"""The file in the state directory that keeps pauses over restarts: whole or not at all, its owner's only."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.errors import SettingsError, StartError
from agent.pause import Pause, Pauses
from agent.private_file import PrivateFile
from agent.whole_file import sync_directory, whole_file

FILE_NAME: Final = "pause.json"

UNREADABLE: Final = "the agent cannot read what is paused"
"""The reason of the pause that takes the place of a file which says nothing."""

_PRIVATE: Final = PrivateFile("pause", content="what `prestashop-agent pause` wrote", remedy="pause again")


class PauseFile:
    """``pause.json`` of one state directory; ``now`` gives Unix seconds."""

    def __init__(self, state_dir: Path, now: Callable[[], float] = time.time) -> None:
        self.path = state_dir / FILE_NAME
        self.now = now

    def read(self) -> Pauses:
        """What is paused now; nothing where there is no file.

        Raises:
            StartError: the file says nothing that can be used. What it meant is not known, so that whoever reads it
                must take everything for paused.
        """
        if not os.path.lexists(self.path):
            return Pauses()
        try:
            return Pauses.from_json(_PRIVATE.read(self.path)).still_on(self.now())
        except SettingsError as error:
            raise StartError(f"{error} {_REMEDY}") from None
        except ValueError as error:
            raise StartError(f"The pause file {self.path} cannot be used ({error}). {_REMEDY}") from None

    def read_or_close(self) -> tuple[Pauses, StartError | None]:
        """The same; with an error, everything is paused since now."""
        try:
            return self.read(), None
        except StartError as error:
            return Pauses(Pause(self.now(), None, UNREADABLE)), error

    def write(self, pauses: Pauses) -> None:
        """Keep them; where there are none there is no file, so that even on a full disk a pause can be ended.

        Raises:
            StartError: it cannot be written; the file is as it was.
        """
        try:
            if not pauses.all:
                with contextlib.suppress(FileNotFoundError):
                    self.path.unlink()
                    sync_directory(self.path.parent)
                return
            with whole_file(self.path, may_replace=True) as file:
                file.write(pauses.to_json())
        except OSError as error:
            raise StartError(
                f"The pause file {self.path} cannot be written ({error.strerror}): make room, or give the directory "
                "to the user that runs prestashop-agent, and give the command again."
            ) from None


_REMEDY: Final = (
    "Every store is taken for paused until `prestashop-agent resume`, which replaces the file; pause again afterwards "
    "what is to stay paused."
)
