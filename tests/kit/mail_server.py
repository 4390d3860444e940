"""A real SMTP server (aiosmtpd) on loopback: keeps the letters, and refuses what a test wants refused."""

from __future__ import annotations

import asyncio
import contextlib
import email
import ssl
import warnings
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.kit.certificates import CertificateAuthority

USER = "notices"
PASSWORD = "CANARY-smtp-password-CANARY"


class MailServer:
    """``refusals`` are replies by command (``MAIL``, ``RCPT``, ``DATA``), given in place of acceptance."""

    def __init__(self, ca_file: Path) -> None:
        self.ca_file = ca_file
        self.letters: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.sessions: list[Session] = []
        self.refusals: dict[str, str] = {}
        self.port = 0
        self._news = asyncio.Event()

    def client_tls(self) -> ssl.SSLContext:
        """TLS that trusts this server."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    async def wait_for(self, count: int, timeout_s: float = 20.0) -> None:
        """Until so many letters have come."""
        async with asyncio.timeout(timeout_s):
            while len(self.letters) < count:
                self._news.clear()
                await self._news.wait()

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
        """One user, one password."""
        known = LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=given == known, handled=False)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.refusals.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "RCPT" not in self.refusals:
            envelope.rcpt_tos.append(address)
        return self.refusals.get("RCPT", "250 OK")

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" not in self.refusals:
            assert isinstance(envelope.content, bytes)
            letter = email.message_from_bytes(envelope.content, policy=default)
            assert isinstance(letter, EmailMessage)
            self.letters.append(letter)
            self.envelopes.append(envelope)
            self.sessions.append(session)
            self._news.set()
        return self.refusals.get("DATA", "250 OK")


@contextlib.asynccontextmanager
async def mail_server(
    folder: Path, *, security: str = "starttls", login: bool = True, names: tuple[str, ...] = ("127.0.0.1",)
) -> AsyncIterator[MailServer]:
    """With a certificate for ``names`` that a CA of its own has signed; ``login``: nobody sends without one."""
    authority = CertificateAuthority(folder, "Mail CA")
    server = MailServer(authority.ca_file)
    tls = authority.server_context(*names) if security != "none" else None

    def make() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of logins without STARTTLS, also inside TLS
            return SMTP(
                server,
                hostname="mail.example",
                tls_context=tls if security == "starttls" else None,
                require_starttls=security == "starttls",
                authenticator=server.authenticate if login else None,
                auth_required=login,
                auth_exclude_mechanism=None if login else ["LOGIN", "PLAIN"],
                auth_require_tls=security == "starttls",
            )

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(make, "127.0.0.1", 0, ssl=tls if security == "tls" else None)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
