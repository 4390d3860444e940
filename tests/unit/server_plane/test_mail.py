"""A notice by mail, to a real SMTP server: STARTTLS, TLS, login, refusals, and no header that a name smuggles in."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from agent.server.mail import MailRelay, MailSender, letter_of
from agent.server.operations.notice_message import Destination, NotDeliveredError, NoticeMessage, Verdict
from tests.kit.mail_server import PASSWORD, USER, MailServer, mail_server

TO = Destination("email", "ops@example.com")
MESSAGE = NoticeMessage(
    key="notice_7_1700000000000",
    id=7,
    event="agent.offline",
    at=1_700_000_000.0,
    subject="agent/1",
    sentence='The agent "Entrepôt" is offline for 2 min: look at its host.',
    detail={"name": "Entrepôt"},
)


def sender(server: MailServer, **changes: object) -> MailSender:
    relay = MailRelay("127.0.0.1", server.port, "starttls", "server@example.com", server.client_tls(), USER, PASSWORD)
    return MailSender(replace(relay, **changes), timeout_s=5.0)  # type: ignore[arg-type] # fields of the relay


async def failure(sender: MailSender) -> NotDeliveredError:
    with pytest.raises(NotDeliveredError) as failed:
        await sender(TO, MESSAGE)
    assert PASSWORD not in str(failed.value) + repr(sender)
    assert "said by the server" not in str(failed.value)
    return failed.value


async def test_a_letter_after_starttls_and_login(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as server:
        await sender(server)(TO, MESSAGE)
    (letter,), (envelope,), (session,) = server.letters, server.envelopes, server.sessions
    assert session.ssl is not None
    assert session.authenticated
    assert (envelope.mail_from, envelope.rcpt_tos) == ("server@example.com", ["ops@example.com"])
    assert letter["Subject"] == "[integration-server] agent.offline: Entrepôt"
    assert (letter["From"], letter["To"]) == ("server@example.com", "ops@example.com")
    assert letter["Message-ID"] == "<notice_7_1700000000000@example.com>"
    assert letter["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content_type() == "text/plain"
    text = letter.get_content().replace("\r\n", "\n")
    assert text.startswith('The agent "Entrepôt" is offline for 2 min: look at its host.\n')
    assert "When:    2023-11-14T22:13:20Z" in text


@pytest.mark.parametrize("security", ["tls", "none"])
async def test_tls_from_the_start_and_no_tls(tmp_path: Path, security: str) -> None:
    async with mail_server(tmp_path, security=security, login=False) as server:
        await sender(server, security=security, user=None, password=None)(TO, MESSAGE)
    assert len(server.letters) == 1


async def test_starttls_is_insisted_on_and_its_certificate_looked_at(tmp_path: Path) -> None:
    async with mail_server(tmp_path, security="none", login=False) as plain:
        failed = await failure(sender(plain, user=None))
        assert "offers no STARTTLS" in str(failed)
        failed = await failure(sender(plain, security="tls", user=None))
        assert "cannot be reached" in str(failed)
    (tmp_path / "other").mkdir()
    async with mail_server(tmp_path / "other", names=("mail.example",)) as other:
        failed = await failure(sender(other))
        assert "certificate" in str(failed)
        failed = await failure(sender(other, tls=ssl.create_default_context()))
        assert "certificate" in str(failed)
    assert plain.letters == other.letters == []


async def test_a_wrong_password_and_a_server_without_logins(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as server:
        failed = await failure(sender(server, password="CANARY-wrong-CANARY"))
        assert (failed.verdict, "smtp.user" in str(failed), "(535)" in str(failed)) == (Verdict.RETRY, True, True)
        assert "CANARY-wrong-CANARY" not in str(failed)
    (tmp_path / "open").mkdir()
    async with mail_server(tmp_path / "open", login=False) as server:
        assert "offers no login" in str(await failure(sender(server)))


@pytest.mark.parametrize(
    ("command", "reply", "verdict", "word"),
    [
        ("RCPT", "550 no such user, said by the server", Verdict.REFUSED, "ops@example.com (550)"),
        ("RCPT", "450 greylisted, said by the server", Verdict.RETRY, "ops@example.com (450)"),
        ("DATA", "554 spam, said by the server", Verdict.REFUSED, "refused the message (554)"),
        ("MAIL", "553 not yours, said by the server", Verdict.RETRY, "smtp.sender"),
        ("MAIL", "421 later, said by the server", Verdict.RETRY, "(421)"),
    ],
)
async def test_what_the_mail_server_refuses(
    tmp_path: Path, command: str, reply: str, verdict: Verdict, word: str
) -> None:
    async with mail_server(tmp_path) as server:
        server.refusals[command] = reply
        failed = await failure(sender(server))
    assert (failed.verdict, word in str(failed)) == (verdict, True), failed


async def test_a_mail_server_that_is_not_there_or_says_nothing() -> None:
    relay = MailRelay("127.0.0.1", 1, "starttls", "server@example.com", ssl.create_default_context())
    assert "127.0.0.1:1 refused the connection" in str(await failure(MailSender(relay)))
    nameless = replace(relay, host="no-such-host.invalid")
    assert "no-such-host.invalid" in str(await failure(MailSender(nameless)))
    left = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        left.set()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    failed = await failure(MailSender(replace(relay, port=port), timeout_s=0.3))
    assert "did not answer in time" in str(failed)
    async with asyncio.timeout(5):
        await left.wait()
    silent.close()


def test_a_name_smuggles_no_header_in() -> None:
    evil = replace(
        MESSAGE,
        sentence="a\r\n.\r\nMAIL FROM:<x@example.com>",
        subject="agent/1\nBcc: x@example.com",
        detail={"name": "x\r\nBcc: victim@example.com\r\n\r\nbody \u202e \udc80"},
    )
    letter = letter_of(evil, "server@example.com", "ops@example.com")
    head, _, body = letter.as_bytes().partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert sorted(names) == sorted(
        b"Subject From To Date Message-ID Auto-Submitted MIME-Version Content-Type Content-Transfer-Encoding".split()
    )
    assert b"\r\n.\r\n" not in body
    assert b"\r\nMAIL" not in body
    assert b"\nBcc" not in body
