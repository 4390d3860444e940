"""What the settings mean for sending notices: by webhook, and by mail where a mail server is set."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent.errors import SettingsError
from agent.server.data_directory import read_secret_file
from agent.server.keys import read_credential
from agent.server.mail import MailRelay, MailSender
from agent.server.operations.notice_message import Destination, NotDeliveredError, NoticeMessage, SendNotice
from agent.server.own_addresses import own_addresses
from agent.server.settings import ServerSettings
from agent.server.settings_tables import SmtpSettings
from agent.server.webhook import WebhookSender

PASSWORD_CREDENTIAL: Final = "smtp-password"  # noqa: S105 - the name of the credential


def notice_sender(settings: ServerSettings, environ: Mapping[str, str]) -> SendNotice:
    """What sends notices. Raises SettingsError for a CA file or a password that cannot be used."""
    webhook = WebhookSender(
        tls=_client_tls("notices.ca_file", settings.notices.ca_file),
        allowed=tuple(ipaddress.ip_network(text, strict=False) for text in settings.notices.allow_private_targets),
        own=own_addresses(),
    )
    relay = mail_relay(settings.smtp, environ)
    mail = MailSender(relay) if relay is not None else None

    async def send(destination: Destination, message: NoticeMessage) -> None:
        if destination.kind == "webhook":
            await webhook(destination, message)
        elif mail is not None:
            await mail(destination, message)
        else:
            raise NotDeliveredError("No mail server is set any more: set smtp.host, and restart the server.")

    return send


def mail_relay(smtp: SmtpSettings, environ: Mapping[str, str]) -> MailRelay | None:
    """The mail server of the settings, None without one. Raises SettingsError, which never quotes the password."""
    if smtp.host is None or smtp.sender is None:
        return None
    return MailRelay(
        host=smtp.host,
        port=smtp.port_used,
        security=smtp.security,
        sender=smtp.sender,
        tls=_client_tls("smtp.ca_file", smtp.ca_file),
        user=smtp.user,
        password=_password(smtp, environ) if smtp.user is not None else None,
    )


def _password(smtp: SmtpSettings, environ: Mapping[str, str]) -> str:
    """Of the settings, else of its file, else the systemd credential."""
    if smtp.password is not None:
        found: str | None = smtp.password.get_secret_value()
    elif smtp.password_file is not None:
        found = (read_secret_file(smtp.password_file, "password of the mail server") or "").strip()
    else:
        found = read_credential(environ, PASSWORD_CREDENTIAL)
    if not found:
        raise SettingsError(
            'The setting "smtp.user" needs a password: put it into the file that smtp.password_file names, or into the '
            f"systemd credential {PASSWORD_CREDENTIAL}."
        )
    return found


def _client_tls(setting: str, ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f'The setting "{setting}" names {ca_file}, which cannot be used ({error.strerror or error}): give the '
                "path of a readable PEM file with the certificate of the CA."
            ) from None
    return context
