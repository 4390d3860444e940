"""The settings for sending notices: what does not fit together, and where the password may stand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.errors import SettingsError
from agent.server.notice_assembly import mail_relay, notice_sender
from agent.server.operations.notice_message import Destination, NotDeliveredError, NoticeMessage
from agent.server.settings import read_settings
from tests.kit.certificates import CertificateAuthority

PASSWORD = "CANARY-of-the-mail-server"
HOST = {"host": "Mail.Example.com", "sender": "server@example.com"}
MESSAGE = NoticeMessage("test_1", 0, "test", 1.0, "notice-target/1", "A test.", {})


def smtp(folder: Path, table: Mapping[str, str], environ: Mapping[str, str] | None = None) -> object:
    lines = "".join(f'{name} = "{value}"\n' for name, value in table.items())
    file = folder / "server.toml"
    file.write_text(f"[smtp]\n{lines}")
    settings = read_settings(file=file, environ=environ or {}, overrides={"data_dir": folder})
    return mail_relay(settings.smtp, environ or {})


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"user": "u"}, "smtp.host"),
        ({"host": "mail.example.com"}, "smtp.sender"),
        ({"host": "mail example"}, "host name"),
        (HOST | {"sender": "Server <s@example.com>"}, "e-mail address"),
        (HOST | {"password": PASSWORD}, "smtp.user"),
        (HOST | {"user": "u", "password": PASSWORD, "password_file": "/x"}, "exclude each other"),
        (HOST | {"user": "u", "password": PASSWORD, "security": "none"}, "readable"),
        (HOST | {"security": "ssl"}, "smtp.security"),
        (HOST | {"user": "u"}, "smtp-password"),
        (HOST | {"user": "u", "password_file": "/nowhere/password"}, "smtp.password_file"),
        (HOST | {"ca_file": "/nowhere/ca.pem"}, "smtp.ca_file"),
        (HOST | {"passwort": PASSWORD}, 'did you mean "smtp.password"'),
    ],
)
def test_what_does_not_fit_together(tmp_path: Path, table: Mapping[str, str], word: str) -> None:
    with pytest.raises(SettingsError) as refused:
        smtp(tmp_path, table)
    assert word in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_the_password_comes_from_settings_file_or_credential(tmp_path: Path) -> None:
    secret = tmp_path / "smtp-password"
    secret.write_text(f"{PASSWORD}\n")
    table = HOST | {"user": "u", "password_file": str(secret)}
    secret.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        smtp(tmp_path, table)
    secret.chmod(0o600)
    login = HOST | {"user": "u"}
    for relay in (
        smtp(tmp_path, table),
        smtp(tmp_path, login | {"password": PASSWORD}),
        smtp(tmp_path, login, {"INTEGRATION_SERVER_SMTP__PASSWORD": PASSWORD}),
        smtp(tmp_path, login, {"CREDENTIALS_DIRECTORY": str(tmp_path)}),
    ):
        assert getattr(relay, "password", None) == PASSWORD
        assert PASSWORD not in repr(relay)


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_usual_ports(tmp_path: Path, security: str, port: int) -> None:
    relay = mail_relay(
        read_settings(
            file=None, environ={}, overrides={"data_dir": tmp_path, "smtp": HOST | {"security": security}}
        ).smtp,
        {},
    )
    assert relay is not None
    assert (relay.host, relay.port, relay.user) == ("mail.example.com", port, None)


async def test_what_is_set_is_what_sends(tmp_path: Path) -> None:
    ca_file = CertificateAuthority(tmp_path).ca_file
    notices = {"allow_private_targets": ["127.0.0.0/8"], "ca_file": str(ca_file)}
    settings = read_settings(file=None, environ={}, overrides={"data_dir": tmp_path, "notices": notices})
    send = notice_sender(settings, {})
    with pytest.raises(NotDeliveredError, match=r"set smtp\.host"):
        await send(Destination("email", "ops@example.com"), MESSAGE)
    hook = Destination("webhook", "https://127.0.0.1:1/x", "whsec_a2tr")
    with pytest.raises(NotDeliveredError, match="refused the connection"):
        await send(hook, MESSAGE)
    with pytest.raises(NotDeliveredError, match="allow_private_targets"):
        await notice_sender(settings.model_copy(update={"notices": type(settings.notices)()}), {})(hook, MESSAGE)
