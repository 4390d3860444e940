"""The fast path of one connection as people see it: on or off, why not, and how many packets went through it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import structlog
from asyncssh.connection import SSHConnection

from agent.tunnel.fastpath import FastPath, install
from agent.tunnel.fastpath_check import obstacle, why_not

log = structlog.get_logger("agent")

SWITCHED_OFF: Final = "switched off"


@dataclass(frozen=True, slots=True)
class Acceleration:
    """``reason`` says why there is no ``path``."""

    path: FastPath | None = None
    reason: str = "not logged in"

    @property
    def packets_sent(self) -> int:
        """Through the fast path, since the login."""
        return self.path.packets_sent if self.path is not None else 0

    @property
    def packets_received(self) -> int:
        """As ``packets_sent``."""
        return self.path.packets_received if self.path is not None else 0

    def measured(self, round_trip_s: float) -> None:
        """A round trip through the connection took so long: channels size their windows by it."""
        if self.path is not None:
            self.path.measured(round_trip_s)

    def rest(self) -> None:
        """See ``FastPath.rest``."""
        if self.path is not None:
            self.path.rest()

    def log_fields(self) -> dict[str, bool | str]:
        """For ``tunnel.ready``."""
        return {"fast_path": True} if self.path is not None else {"fast_path": False, "fast_path_reason": self.reason}


def accelerate(conn: SSHConnection, *, is_wanted: bool) -> Acceleration:
    """Put the fast path on ``conn``, which has just logged in, if it is wanted and can be had.

    Where this process can never have it, the log says so at WARNING, once.
    """
    if not is_wanted:
        return Acceleration(reason=SWITCHED_OFF)
    path = install(conn)
    if path is not None:
        return Acceleration(path, "")
    if why_not():
        _warn(why_not())
    return Acceleration(reason=obstacle(conn))


@functools.cache
def _warn(reason: str) -> None:
    log.warning("fast_path.unavailable", reason=reason)
