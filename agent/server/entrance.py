"""One connection's way through the door: its place among the unauthenticated, and its attempts."""

from __future__ import annotations

import time

import asyncssh

from agent.server.doorkeeper import Doorkeeper, Refusal, source_of
from agent.server.ssh_config import SshConfig


class Entrance:
    """``enter`` once; then ``logged_in`` or ``gone`` gives the place back, whichever comes first."""

    def __init__(self, doorkeeper: Doorkeeper, config: SshConfig, address: str) -> None:
        self._doorkeeper = doorkeeper
        self._config = config
        self._source = source_of(address)
        self._inside = False
        self._attempts = 0
        self._began_at = time.monotonic()

    def enter(self) -> Refusal | None:
        """Take a place; None when there was one."""
        refusal = self._doorkeeper.enter(self._source)
        self._inside = refusal is None
        return refusal

    def attempt(self) -> None:
        """Count a user name or a password. Raises ``asyncssh.PermissionDenied``, which ends the connection."""
        self._attempts += 1
        if self._attempts > 2 * self._config.password_attempts_max:  # a user name and a password each time
            raise asyncssh.PermissionDenied("too many attempts")

    def wrong_secret(self) -> None:
        """A wrong secret: the source comes nearer to its penalty."""
        self._doorkeeper.failed(self._source)

    def logged_in(self) -> None:
        """The connection is an agent's and needs no place among the unknown."""
        self._leave()
        self._doorkeeper.succeeded(self._source)

    def gone(self) -> None:
        """The connection ended. One that sat out the whole login time counts as a failure."""
        if self._inside and time.monotonic() - self._began_at >= 0.9 * self._config.login_timeout_s:
            self._doorkeeper.failed(self._source)
        self._leave()

    def _leave(self) -> None:
        if self._inside:
            self._inside = False
            self._doorkeeper.leave(self._source)
