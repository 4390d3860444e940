"""The data directory: made on first use, held by one process at a time, and the secret files in it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.errors import SettingsError, StartError
from agent.lock_file import LockHeldError, lock_directory

LOCK_FILE: Final = "integration-server.lock"


class DirectoryBusyError(StartError):
    """Another process holds the data directory."""


@contextlib.contextmanager
def hold_data_directory(path: Path) -> Iterator[None]:
    """Make ``path`` (0700) where it is missing and hold it; the kernel lets go when the process ends.

    Raises DirectoryBusyError when another process holds it, StartError when it cannot be made or written.
    """
    try:
        descriptor = lock_directory(path, LOCK_FILE)
    except LockHeldError as held:
        raise DirectoryBusyError(
            f"Another integration-server{held.who} is using the data directory {path}; stop it first, "
            "or give this one its own directory with --data-dir."
        ) from None
    except OSError as error:
        raise StartError(
            f"The data directory {path} cannot be written or locked ({error.strerror}); give it to the user that runs "
            "integration-server, or name another one with --data-dir."
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def read_secret_file(path: Path, what: str) -> str | None:
    """The text of a file that nobody else may read; None when it is not there.

    ``what`` names it to a person. Raises SettingsError when others may read it, or when it cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise SettingsError(
                    f"The {what} {path} can be read by other users (mode {stat.S_IMODE(mode):04o}); "
                    f"run chmod 600 {path}, and replace it if somebody else may have read it."
                )
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise SettingsError(f"The {what} {path} is not text; restore it from its back-up copy.") from None
    except OSError as error:
        raise SettingsError(
            f"The {what} {path} cannot be read ({error.strerror}); give it to the user that runs integration-server."
        ) from None


def write_secret_file(path: Path, text: str, what: str) -> None:
    """Write a new file with mode 0600, whole or not at all; an existing one is never replaced.

    Raises StartError when the directory cannot be written.
    """
    _write(path, text, what, may_replace=False)


def replace_secret_file(path: Path, text: str, what: str) -> None:
    """The same, in place of a file that may be there."""
    _write(path, text, what, may_replace=True)


def _write(path: Path, text: str, what: str, *, may_replace: bool) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if may_replace:
            part.replace(path)
        else:
            path.hardlink_to(part)  # fails, unlike rename, when the file has appeared meanwhile
            part.unlink()
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise StartError(
            f"The {what} {path} cannot be written ({error.strerror}); "
            "give the directory to the user that runs integration-server."
        ) from None
