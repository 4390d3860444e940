"""The data directory: made on first use, held by one process at a time; the secret files in it, and room for work."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.errors import SettingsError, StartError
from agent.lock_file import LockHeldError, lock_directory
from agent.server.db.full_disk import DiskFullError, is_full
from agent.whole_file import whole_file

LOCK_FILE: Final = "integration-server.lock"

_WORK: Final = (".backup-", ".restore-")


class DirectoryBusyError(StartError):
    """Another process holds the data directory."""


@contextlib.contextmanager
def hold_data_directory(path: Path) -> Iterator[None]:
    """Make ``path`` (0700) where it is missing and hold it; the kernel lets go when the process ends.

    What a killed process has left of its work is removed.

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
        _refuse_full_disk(error, f"The data directory {path} cannot be made")
        raise StartError(
            f"The data directory {path} cannot be written or locked ({error.strerror}); give it to the user that runs "
            "integration-server, or name another one with --data-dir."
        ) from None
    try:
        _sweep(path)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def work_folder(path: Path, prefix: str) -> Iterator[Path]:
    """A folder (0700) in the data directory ``path`` for large files of one piece of work; it goes when that ends.

    ``prefix`` is ``.backup-`` or ``.restore-``. Raises OSError.
    """
    if prefix not in _WORK:
        raise ValueError(prefix)  # it would not be swept
    with tempfile.TemporaryDirectory(dir=path, prefix=prefix) as folder:
        yield Path(folder)


def _sweep(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name.startswith(_WORK) and entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)  # what cannot go now is tried again the next time


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
    try:
        with whole_file(path, may_replace=may_replace) as file:
            file.write(text.encode())
    except OSError as error:
        _refuse_full_disk(error, f"The {what} {path} cannot be written")
        raise StartError(
            f"The {what} {path} cannot be written ({error.strerror}); "
            "see that the directory belongs to the user that runs integration-server."
        ) from None


def _refuse_full_disk(error: OSError, what: str) -> None:
    """Raise DiskFullError when it is that."""
    if is_full(error):
        raise DiskFullError(f"{what}: there is no room on its disk. Free some space there, then try again.") from None
