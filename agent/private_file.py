"""Reading a file that holds a secret: regular, small, and closed to everybody else. Standard library only."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import SettingsError

PRIVATE_FILE_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """One secret's file; ``name`` and ``content`` are how its sentences call the file and what belongs into it.

    ``advice`` ends the sentence about a missing file; ``remedy`` says what to do beside the chmod when others could
    read it; ``error`` is what is raised.
    """

    name: str
    content: str
    remedy: str
    advice: str = ""
    error: type[SettingsError] = SettingsError

    def read(self, path: Path, *, is_credential: bool = False) -> bytes:
        """The bytes of ``path``, with at least one that is not blank.

        Raises ``error`` for a missing, unreadable, empty, oversized (64 KiB) or not regular file, and for one whose
        mode lets group or others in. A systemd credential (``is_credential``) may show group bits: they are the mask
        of the ACL by which systemd lets in the unit's user.
        """
        try:
            # O_NONBLOCK: a FIFO in this place must not hang the start
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise self.error(
                f"The {self.name} file {path} does not exist: put {self.content} there, mode 0600{self.advice}."
            ) from None
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
            cause = error.strerror if isinstance(error, OSError) else error
            raise self.error(
                f"The {self.name} file {path} cannot be read ({cause}): make it readable for the agent's user."
            ) from None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)  # fdopen would refuse a directory in its own words
            raise self.error(
                f"The {self.name} file {path} is not a regular file: put {self.content} into one, mode 0600."
            )
        with os.fdopen(descriptor, "rb") as file:
            if status.st_mode & (0o007 if is_credential else 0o077):
                raise self.error(
                    f"The {self.name} file {path} is open to others (mode {stat.S_IMODE(status.st_mode):04o}):"
                    f" run chmod 600 {path}, and {self.remedy} if someone may have read it."
                )
            raw = file.read(PRIVATE_FILE_MAX_BYTES + 1)
        if not raw.strip():
            raise self.error(f"The {self.name} file {path} is empty: put {self.content} there, mode 0600.")
        if len(raw) > PRIVATE_FILE_MAX_BYTES:
            raise self.error(
                f"The {self.name} file {path} is too large to be one: it holds {self.content} and nothing else."
            )
        return raw
