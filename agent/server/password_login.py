"""The login of an agent: its secret and nothing else, each attempt counted; asyncssh's callbacks of that time."""

from __future__ import annotations

import asyncssh
import structlog

from agent.server.agent_record import AgentRecord
from agent.server.entrance import Entrance
from agent.server.link_context import LinkContext
from agent.tunnel.text import printable

log = structlog.get_logger("agent")


class PasswordLogin(asyncssh.SSHServer):
    """``_record`` is whose secret it was, once that was right; ``_conn`` and ``_entrance`` come with the connection."""

    _conn: asyncssh.SSHServerConnection
    _entrance: Entrance

    def __init__(self, context: LinkContext) -> None:
        self._context = context
        self.peer = ""
        self._record: AgentRecord | None = None

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - asyncssh's signature
        """Always: nobody comes in without a secret. Each new user name counts as an attempt."""
        self._entrance.attempt()
        return True

    def password_auth_supported(self) -> bool:
        """The only method."""
        return True

    def kbdint_auth_supported(self) -> bool:
        """Off: asyncssh's default turns it on wherever passwords are."""
        return False

    def validate_password(self, username: str, password: str) -> bool:
        """Compare with the records in memory; ``authenticate`` looks up a hash, so that time tells nothing."""
        self._entrance.attempt()
        record = self._context.authenticate(username, password)
        if record is None:
            self._entrance.wrong_secret()
        if record is None or (record.plain_store is not None and not record.enabled):  # which cannot be told why
            log.warning("agent.login_refused", agent_id=printable(username, 64), peer=self.peer)
            return False
        if record.plain_store is None and self._client_is_openssh():
            log.warning(
                "agent.login_refused", agent_id=record.agent_id, peer=self.peer, reason="not made for plain ssh"
            )
            self._conn.send_auth_banner(
                "This access token belongs to prestashop-agent; a stock ssh client needs an agent made with"
                " --plain-ssh.\r\n"
            )
            return False
        self._record = record
        return True

    def change_password(self, username: str, old_password: str, new_password: str) -> bool:  # noqa: ARG002 - asyncssh's signature
        """Never; counted, since asyncssh lets a client ask for ever."""
        self._entrance.attempt()
        return False

    def _client_is_openssh(self) -> bool:
        return "OpenSSH" in str(self._conn.get_extra_info("client_version", ""))
