"""Sending a notice to a webhook: one signed POST, of whose answer only the status is read.

The form is that of Standard Webhooks 1.0 (https://www.standardwebhooks.com): ``webhook-id``, ``webhook-timestamp`` and
``webhook-signature``. Where it goes is looked at as mode Cloud does: each address is checked, then dialed as a number.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import agent
from agent.errors import ExchangeError
from agent.server.cloud import Address, CheckedDialer, Network
from agent.server.operations.notice_address import WebhookUrl, read_webhook_url
from agent.server.operations.notice_message import Destination, NotDeliveredError, NoticeMessage, Verdict
from agent.server.operations.notice_vault import SECRET_PREFIX

WEBHOOK_TIMEOUT_S: Final = 10.0
ANSWER_MAX_BYTES: Final = 16_384  # interim answers and the status line
STATUS_LINE_MAX_BYTES: Final = 1024

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_GONE: Final = 410
_THIS_ONE_REFUSED: Final = frozenset({400, 413, 415, 422})  # the next notice may pass; this one never will
_WAY_OUT: Final = "give another URL, or list the address in notices.allow_private_targets"


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Sends to https URLs; ``allowed`` are the addresses that are not public and may be dialed all the same."""

    tls: ssl.SSLContext
    allowed: tuple[Network, ...] = ()
    own: frozenset[Address] = frozenset()
    timeout_s: float = WEBHOOK_TIMEOUT_S
    clock: Callable[[], float] = time.time

    async def __call__(self, destination: Destination, message: NoticeMessage) -> None:
        """Send once, within ``timeout_s``. Raises NotDeliveredError unless the answer is 2xx; follows no redirect."""
        url = read_webhook_url(destination.address)
        request = request_of(url, destination.secret or "", message, int(self.clock()))
        try:
            async with asyncio.timeout(self.timeout_s):
                status = await self._ask(url, request)
        except TimeoutError:
            raise NotDeliveredError(f"{url.origin} did not answer within {self.timeout_s:g} s.") from None
        except ExchangeError as error:  # its own text: it was not reached
            raise NotDeliveredError(error.detail or f"{url.origin} cannot be reached.") from None
        refuse_status(url.origin, status)

    async def _ask(self, url: WebhookUrl, request: bytes) -> int:
        dialer = CheckedDialer(url.host, url.port, self.tls, self.allowed, self.own, way_out=_WAY_OUT)
        loop = asyncio.get_running_loop()
        asking = await dialer.dial(lambda: _Asking(loop, request))
        try:
            answer = await asking.answer
        finally:
            asking.abort()
        if isinstance(answer, str):
            raise NotDeliveredError(f"{url.origin} {answer}.")
        return answer


def refuse_status(origin: str, status: int) -> None:
    """Raises NotDeliveredError for a status other than 2xx, with what it means for what comes next."""
    if 200 <= status < 300:
        return
    if status == _GONE:
        raise NotDeliveredError(f"{origin} answered 410: it wants no more notices.", Verdict.GONE)
    if status in _THIS_ONE_REFUSED:
        raise NotDeliveredError(f"{origin} answered {status}: it does not take this notice.", Verdict.REFUSED)
    if 300 <= status < 400:
        raise NotDeliveredError(f"{origin} answered {status}, a redirect, which is not followed: give its URL.")
    raise NotDeliveredError(f"{origin} answered {status}.")


def body_of(message: NoticeMessage) -> bytes:
    """The JSON that is sent and signed."""
    shown = {
        "id": message.id,
        "event": message.event,
        "at": message.moment,
        "subject": message.subject,
        "sentence": message.sentence,
        "detail": dict(message.detail),
    }
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def signature(secret: str, key: str, timestamp: int, body: bytes) -> str:
    """``v1,BASE64``: HMAC-SHA256 over id, timestamp and body, joined by dots. ``secret`` is ``whsec_`` and base64."""
    signing_key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    made = hmac.new(signing_key, b".".join((key.encode(), str(timestamp).encode(), body)), hashlib.sha256)
    return f"v1,{base64.b64encode(made.digest()).decode()}"


def request_of(url: WebhookUrl, secret: str, message: NoticeMessage, timestamp: int) -> bytes:
    """The whole request; ``timestamp`` is unix seconds, of this attempt."""
    body = body_of(message)
    fields = {
        "Host": url.authority,
        "User-Agent": f"integration-server/{agent.__version__}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Integration-Server-Event": message.event,
        "webhook-id": message.key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, message.key, timestamp, body),
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {url.target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


def final_status(received: bytes) -> int | None:
    """The status of the final answer, behind interim ones (RFC 9110 15.2); None when more is needed.

    Raises ValueError, without a text, for what is no HTTP.
    """
    at = 0
    while True:
        found = _STATUS_LINE.match(received, at)
        if found is None:
            if len(received) - at > STATUS_LINE_MAX_BYTES or b"\n" in received[at:]:
                raise ValueError
            return None
        status = int(found[1])
        if status >= 200:
            return status
        end = received.find(b"\r\n\r\n", at)
        if status == 101 or (end < 0 and len(received) > ANSWER_MAX_BYTES):
            raise ValueError
        if end < 0:
            return None
        at = end + 4
        if at > ANSWER_MAX_BYTES:
            raise ValueError


class _Asking(asyncio.Protocol):
    """One request; ``answer`` becomes the status, or what went wrong as the second half of a sentence."""

    def __init__(self, loop: asyncio.AbstractEventLoop, request: bytes) -> None:
        self.answer: asyncio.Future[int | str] = loop.create_future()
        self._request = request
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.answer.done():
            return
        self._received += data
        try:
            status = final_status(bytes(self._received))
        except ValueError:
            self.answer.set_result("gave an answer that is no HTTP")
            return
        if status is not None:
            self.answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - part of the protocol
        if not self.answer.done():
            self.answer.set_result("closed the connection without an answer")

    def abort(self) -> None:
        """Read no more: whatever follows the status is not looked at."""
        if self._transport is not None:
            self._transport.abort()
