"""Telling a full disk from every other failure of a database or a file."""

from __future__ import annotations

import errno
import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError

from agent.errors import StartError

_FULL_ERRNO: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_SQLITE: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})  # the second: of the WAL's index
_FULL_SQLSTATE: Final = "53100"  # PostgreSQL, appendix A: disk_full


class DiskFullError(StartError):
    """There is no room where the database, or another file of the server, is."""


def is_full(error: BaseException) -> bool:
    """True when ``error``, of a driver or of the system, says that there is no room."""
    cause: object = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, OSError):
        return cause.errno in _FULL_ERRNO
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) in _FULL_SQLITE
    return getattr(cause, "sqlstate", None) == _FULL_SQLSTATE
