"""One connection's way through the door: it waits for a place, has it until it is logged in, and its attempts count."""

from __future__ import annotations

import asyncio
import time

import asyncssh
import structlog

from agent.server.doorkeeper import Doorkeeper, Refusal, source_of
from agent.server.ssh_config import SshConfig

log = structlog.get_logger("agent")


class Entrance:
    """``enter`` once; then ``logged_in`` or ``gone`` gives the place back, whichever comes first."""

    def __init__(
        self, doorkeeper: Doorkeeper, config: SshConfig, conn: asyncssh.SSHServerConnection, address: str, peer: str
    ) -> None:
        self._doorkeeper = doorkeeper
        self._config = config
        self._conn = conn
        self._source = source_of(address)
        self._peer = peer
        self._inside = False
        self._held = False
        self._gone = False
        self._attempts = 0
        self._began_at = time.monotonic()

    def enter(self) -> bool:
        """Take a place or wait for one, unread; False when the connection is turned away."""
        refusal = self._doorkeeper.enter(self._source, self)
        if refusal is not None:
            self.turned_away(refusal)
        elif not self._inside:
            # Only after this callback does the loop begin to read, and would undo it.
            asyncio.get_running_loop().call_soon(self._hold)
        return refusal is None

    def admitted(self) -> None:
        """The doorkeeper: there is a place."""
        self._inside = True
        transport = self._conn._transport  # noqa: SLF001 - asyncssh has no way to pause a connection
        if self._held and transport is not None and not transport.is_closing():
            self._held = False
            transport.resume_reading()

    def turned_away(self, refusal: Refusal) -> None:
        """The doorkeeper: there is no place, or none became free in time."""
        self._gone = True
        log.debug("ssh.rejected", peer=self._peer, reason=refusal.value)
        self._conn._cancel_login_timer()  # noqa: SLF001 - else a flood stays in memory for the whole login time-out
        self._conn.abort()

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
        self._doorkeeper.succeeded(self._source)  # first: the place goes to the next one of a source that is not barred
        self._leave()

    def gone(self) -> None:
        """The connection ended. One that sat in its place until the login time was over counts as a failure."""
        if self._inside and time.monotonic() - self._began_at >= 0.9 * self._config.login_timeout_s:
            self._doorkeeper.failed(self._source)
        if not self._inside and not self._gone:
            self._doorkeeper.give_up(self._source, self)
        self._gone = True
        self._leave()

    def _hold(self) -> None:
        """Read nothing of one that waits: a key exchange is what costs, and it begins with what the client sends."""
        transport = self._conn._transport  # noqa: SLF001 - see above
        if not self._inside and not self._gone and transport is not None and not transport.is_closing():
            self._held = True
            transport.pause_reading()

    def _leave(self) -> None:
        if self._inside:
            self._inside = False
            self._doorkeeper.leave(self._source)
