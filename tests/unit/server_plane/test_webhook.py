"""A notice by webhook: what is sent, how it is signed, what each answer means, and where it is never sent."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

import agent
from agent.server.operations.notice_address import read_webhook_url
from agent.server.operations.notice_message import Destination, NotDeliveredError, NoticeMessage, Verdict
from agent.server.webhook import ANSWER_MAX_BYTES, WebhookSender, final_status, request_of, signature
from tests.kit.webhook_receiver import CLOSE, OK, SILENCE, WebhookReceiver, answer, webhook_receiver

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
TOKEN = "CANARY-token-of-the-url"
MESSAGE = NoticeMessage(
    key="notice_7_1700000000000",
    id=7,
    event="agent.offline",
    at=1_700_000_000.4,
    subject="agent/1",
    sentence='The agent "Lyon é" is offline.',
    detail={"name": "Lyon é", "away_since": 1.5},
)
LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver(tmp_path) as opened:
        yield opened


def sender(receiver: WebhookReceiver) -> WebhookSender:
    return WebhookSender(receiver.client_tls(), allowed=LOOPBACK, clock=lambda: 1_700_000_100.9)


def hook(receiver: WebhookReceiver) -> Destination:
    return Destination("webhook", receiver.url(f"/hook/{TOKEN}?key={TOKEN}"), SECRET)


async def failure(sender: WebhookSender, destination: Destination) -> NotDeliveredError:
    with pytest.raises(NotDeliveredError) as failed:
        await sender(destination, MESSAGE)
    assert TOKEN not in str(failed.value)
    assert len(str(failed.value)) <= 300
    return failed.value


async def test_a_signed_post(receiver: WebhookReceiver) -> None:
    await sender(receiver)(hook(receiver), MESSAGE)
    (got,) = receiver.received
    assert got.line == f"POST /hook/{TOKEN}?key={TOKEN} HTTP/1.1"
    assert json.loads(got.body) == {
        "id": 7,
        "event": "agent.offline",
        "at": "2023-11-14T22:13:20Z",
        "subject": "agent/1",
        "sentence": 'The agent "Lyon é" is offline.',
        "detail": {"name": "Lyon é", "away_since": 1.5},
    }
    signed = b"notice_7_1700000000000.1700000100." + got.body
    assert got.fields == {
        "host": f"127.0.0.1:{receiver.port}",
        "user-agent": f"integration-server/{agent.__version__}",
        "content-type": "application/json",
        "content-length": str(len(got.body)),
        "x-integration-server-event": "agent.offline",
        "webhook-id": "notice_7_1700000000000",
        "webhook-timestamp": "1700000100",
        "webhook-signature": "v1," + base64.b64encode(hmac.digest(b"k" * 32, signed, hashlib.sha256)).decode(),
        "connection": "close",
    }


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's own libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_nothing_but_ascii_stands_in_the_head() -> None:
    url = read_webhook_url("https://hooks.example.com/a")
    head = request_of(url, SECRET, MESSAGE, 1).partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert b"\r\nHost: hooks.example.com\r\n" in head


@pytest.mark.parametrize(
    ("said", "verdict", "word"),
    [
        (answer(500), Verdict.RETRY, "answered 500"),
        (answer(404), Verdict.RETRY, "answered 404"),
        (answer(429), Verdict.RETRY, "answered 429"),
        (answer(302, "Location: https://elsewhere.example/"), Verdict.RETRY, "redirect"),
        (answer(400), Verdict.REFUSED, "does not take this notice"),
        (answer(410), Verdict.GONE, "no more notices"),
        (CLOSE, Verdict.RETRY, "without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Verdict.RETRY, "no HTTP"),
        (b"HTTP/1.1 200 " + b"x" * 2000, Verdict.RETRY, "no HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Verdict.RETRY, "no HTTP"),
    ],
)
async def test_an_answer_other_than_2xx(receiver: WebhookReceiver, said: bytes, verdict: Verdict, word: str) -> None:
    receiver.answers.append(said)
    failed = await failure(sender(receiver), hook(receiver))
    assert (failed.verdict, word in str(failed)) == (verdict, True), failed
    assert f"https://127.0.0.1:{receiver.port} " in str(failed)
    assert len(receiver.received) == 1  # no redirect was followed


async def test_interim_answers_are_passed_over_and_a_body_without_end_is_not_read(receiver: WebhookReceiver) -> None:
    receiver.answers.append(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nx"
    )
    async with asyncio.timeout(5):  # less than the time limit of the sender
        await sender(receiver)(hook(receiver), MESSAGE)
        await sender(receiver)(hook(receiver), MESSAGE)
    assert len(receiver.received) == 2


async def test_a_receiver_that_says_nothing(receiver: WebhookReceiver) -> None:
    receiver.answers.append(SILENCE)
    failed = await failure(replace(sender(receiver), timeout_s=0.3), hook(receiver))
    assert "did not answer within 0.3 s" in str(failed)


async def test_a_receiver_that_is_not_there_or_not_trusted(receiver: WebhookReceiver, tmp_path: Path) -> None:
    untrusting = replace(sender(receiver), tls=WebhookReceiver(_other_ca(tmp_path)).client_tls())
    assert "certificate" in str(await failure(untrusting, hook(receiver)))
    nobody = Destination("webhook", f"https://127.0.0.1:1/{TOKEN}", SECRET)
    assert "refused the connection" in str(await failure(sender(receiver), nobody))
    nameless = Destination("webhook", f"https://no-such-host.invalid/{TOKEN}", SECRET)
    assert "no-such-host.invalid" in str(await failure(sender(receiver), nameless))
    assert receiver.received == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "[::1]", "[fd00::1]", "[::7f00:1]"]
)
async def test_an_internal_address_is_refused(receiver: WebhookReceiver, host: str) -> None:
    careful = replace(sender(receiver), allowed=())
    target = Destination("webhook", f"https://{host}:{receiver.port}/{TOKEN}", SECRET)
    assert "notices.allow_private_targets" in str(await failure(careful, target))
    assert receiver.received == []


async def test_an_own_address_is_refused(receiver: WebhookReceiver) -> None:
    public = replace(sender(receiver), allowed=(), own=frozenset({ip_address("8.8.8.8")}))
    target = Destination("webhook", f"https://8.8.8.8/{TOKEN}", SECRET)
    assert "notices.allow_private_targets" in str(await failure(public, target))


def test_the_head_of_an_answer_is_bounded() -> None:
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    assert final_status(interim * 3) is None
    assert final_status(interim * 3 + OK) == 204
    assert final_status(b"HTTP/1.1 20") is None
    assert final_status(b"HTTP/1.0 200\r\n") == 200
    for wrong in (
        interim * (ANSWER_MAX_BYTES // len(interim) + 2),
        b"HTTP/1.1 103 Hints\r\n" + b"Link: x\r\n" * ANSWER_MAX_BYTES,
        b"HTTP/1.1 099 Odd\r\n",
        b"HTTP/2 200\r\n",
    ):
        with pytest.raises(ValueError):
            final_status(wrong)


def _other_ca(folder: Path) -> Path:
    from tests.kit.certificates import CertificateAuthority

    (folder / "other").mkdir()
    return CertificateAuthority(folder / "other", "Other CA").ca_file
