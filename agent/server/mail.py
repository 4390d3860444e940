"""Sending a notice by e-mail, through the mail server of the settings."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final, Literal

import aiosmtplib

from agent.forward.dialer import dial_failure
from agent.server.operations.notice_message import Destination, NotDeliveredError, NoticeMessage, Verdict
from agent.tunnel.text import printable

MAIL_TIMEOUT_S: Final = 30.0  # mail servers make strangers wait on purpose

_QUIT_TIMEOUT_S: Final = 2.0
_NAME_MAX_CHARS: Final = 100
_SENTENCE_MAX_CHARS: Final = 4000
_PERMANENT: Final = 500  # RFC 5321 4.2.1: from here on the same attempt fails again

MailSecurity = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class MailRelay:
    """The mail server, and who sends; without ``user`` nobody logs in. ``tls`` is not used where security is none."""

    host: str
    port: int
    security: MailSecurity
    sender: str
    tls: ssl.SSLContext
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MailSender:
    """Sends to e-mail addresses."""

    relay: MailRelay
    timeout_s: float = MAIL_TIMEOUT_S

    async def __call__(self, destination: Destination, message: NoticeMessage) -> None:
        """Send once, within ``timeout_s``. Raises NotDeliveredError, with nothing of what the mail server said."""
        where = f"{self.relay.host}:{self.relay.port}"
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._send(where, destination.address, message)
        except TimeoutError:  # aiosmtplib's own are such, too
            raise NotDeliveredError(f"The mail server {where} did not answer in time.") from None
        except aiosmtplib.SMTPResponseException as error:
            raise _refused(error, where, self.relay.sender, destination.address) from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refused(error.recipients[0], where, self.relay.sender, destination.address) from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _failed(error, where) from None

    async def _send(self, where: str, recipient: str, message: NoticeMessage) -> None:
        relay = self.relay
        letter = letter_of(message, relay.sender, recipient)
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            local_hostname=_own_name(),
            use_tls=relay.security == "tls",
            start_tls=False,  # begun below, where its absence can be told of
            tls_context=relay.tls if relay.security != "none" else None,
            timeout=self.timeout_s,
        )
        try:
            await client.connect()
            await client.ehlo()
            if relay.security == "starttls":
                if not client.supports_extension("starttls"):
                    raise NotDeliveredError(
                        f"The mail server {where} offers no STARTTLS: set smtp.security to tls, or to none."
                    )
                await client.starttls()
                await client.ehlo()
            if relay.user is not None:
                if not client.supported_auth_methods:
                    raise NotDeliveredError(
                        f"The mail server {where} offers no login that is known here (PLAIN, LOGIN, CRAM-MD5): correct "
                        "smtp.port, or leave smtp.user out."
                    )
                await client.login(relay.user, relay.password or "")
            await client.send_message(letter, sender=relay.sender, recipients=[recipient])
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):  # it has the letter
                await client.quit(timeout=_QUIT_TIMEOUT_S)
        finally:
            client.close()


def letter_of(message: NoticeMessage, sender: str, recipient: str) -> EmailMessage:
    """The message, plain text; its Message-ID is the same at every attempt, so that a repeat is known as one."""
    letter = EmailMessage(policy=SMTP)
    letter["Subject"] = f"[integration-server] {message.event}: {printable(message.name, _NAME_MAX_CHARS)}"
    letter["From"] = sender
    letter["To"] = recipient
    letter["Date"] = format_datetime(datetime.fromtimestamp(message.at, UTC))
    letter["Message-ID"] = f"<{message.key}@{sender.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office notes in return
    lines = [
        printable(message.sentence, _SENTENCE_MAX_CHARS),
        "",
        f"Event:   {message.event}",
        f"When:    {message.moment}",
        f"Subject: {printable(message.subject)}",
        "",
        "Sent by integration-server, which shows all notices with: integration-server notices list",
    ]
    letter.set_content("\n".join(lines) + "\n", cte="quoted-printable")
    return letter


def _refused(error: aiosmtplib.SMTPResponseException, where: str, sender: str, recipient: str) -> NotDeliveredError:
    """What a reply code means, without the words that came with it."""
    code = error.code
    final = Verdict.REFUSED if code >= _PERMANENT else Verdict.RETRY
    if isinstance(error, aiosmtplib.SMTPRecipientRefused):
        return NotDeliveredError(f"The mail server {where} does not take mail for {recipient} ({code}).", final)
    if isinstance(error, aiosmtplib.SMTPDataError):
        return NotDeliveredError(f"The mail server {where} refused the message ({code}).", final)
    # What follows are matters of this server's settings: tried again until somebody has corrected them.
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return NotDeliveredError(
            f"The mail server {where} refused the login ({code}): correct smtp.user and its password in the server's "
            "settings."
        )
    if isinstance(error, aiosmtplib.SMTPSenderRefused):
        return NotDeliveredError(
            f"The mail server {where} does not take mail from {sender} ({code}): correct smtp.sender, or log in."
        )
    return NotDeliveredError(f"The mail server {where} answered {code}.")


def _failed(error: Exception, where: str) -> NotDeliveredError:
    cause = error.__cause__ if isinstance(error, aiosmtplib.SMTPException) else error
    if isinstance(cause, OSError | ValueError) and not isinstance(cause, aiosmtplib.SMTPException):
        return NotDeliveredError(f"The mail server cannot be reached: {dial_failure(cause, where).detail}")
    if isinstance(error, ConnectionError):
        return NotDeliveredError(f"The mail server {where} closed the connection.")
    return NotDeliveredError(f"The mail server {where} does not speak SMTP as expected ({type(error).__name__}).")


def _own_name() -> str:
    """For EHLO: not ``getfqdn``, which may wait for a name server."""
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"
