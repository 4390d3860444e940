"""The state directory: which instance this is, and the lock that only one process can hold."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agent.errors import StartError
from agent.lock_file import LockHeldError, lock_directory

LOCK_NAME: Final = "instance.lock"
ID_NAME: Final = "instance-id"


class Instance:
    """This process's place in the state directory; a context manager that gives it back.

    ``id`` is a UUID made on first use and kept over restarts, so that the server knows a returning instance.
    The lock is an advisory ``flock`` which the kernel releases when the process ends, however it ends; the
    files stay.
    """

    def __init__(self, state_dir: Path, instance_id: str, lock_fd: int) -> None:
        self.state_dir = state_dir
        self.id = instance_id
        self._lock_fd = lock_fd

    @classmethod
    def claim(cls, state_dir: Path) -> Instance:
        """Make ``state_dir`` (0700) where it is missing, lock it, and read or make the instance's id.

        Raises:
            StartError: another process holds the lock (names it), or the directory cannot be written.
        """
        try:
            lock_fd = lock_directory(state_dir, LOCK_NAME)
        except LockHeldError as held:
            raise StartError(
                f"Another prestashop-agent{held.who} uses the state directory {state_dir}: "
                "stop it, or give this one a directory of its own with --state-dir."
            ) from None
        except OSError as error:
            raise _unusable(state_dir, error) from None
        try:
            instance_id = _read_or_make_id(state_dir)
        except OSError as error:
            os.close(lock_fd)
            raise _unusable(state_dir, error) from None
        return cls(state_dir, instance_id, lock_fd)

    def release(self) -> None:
        """Let another process have the directory; may be called twice."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _read_or_make_id(state_dir: Path) -> str:
    """The UUID in the file; a missing or damaged file gets a new one, put in place whole."""
    path = state_dir / ID_NAME
    try:
        return str(uuid.UUID(path.read_text("ascii").strip()))
    except (FileNotFoundError, ValueError):
        made = str(uuid.uuid4())
    fresh = state_dir / f"{ID_NAME}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(made + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return made


def _unusable(state_dir: Path, error: OSError) -> StartError:
    place = error.filename if error.filename is not None else state_dir
    return StartError(
        f"The state directory {state_dir} cannot be used ({place}: {error.strerror}): "
        "give this user the right to write there, or name another directory with --state-dir."
    )
