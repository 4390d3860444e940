"""Asks an address whether PrestaShop's webservice answers there, with a key that cannot be one."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, cast

from agent.doctor.answer import DUMMY_KEY, ProbeAnswer
from agent.errors import ExchangeError
from agent.forward.dialer import TcpDialer
from agent.opening import Opening
from agent.settings import TimeoutSettings
from agent.store_url import Store

PROBE_TIMEOUT_S: Final = 5.0
_HEAD_MAX_BYTES: Final = 65_536


class Verdict(Enum):
    """What stands at an address."""

    WEBSERVICE = "webservice"
    SOMETHING_ELSE = "something else"
    REDIRECT = "redirect"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """``detail`` says in our own words what was seen."""

    store: Store
    verdict: Verdict
    detail: str


async def probe_opening(opening: Opening, timeouts: TimeoutSettings) -> tuple[Opening, tuple[ProbeResult, ...]]:
    """Probe every reading of an address at the same time, for at most 5 s; nothing is asked when there is one.

    The opening comes back decided when the webservice answers at exactly one of them, as it was otherwise.

    Raises:
        SettingsError: the CA file cannot be used.
    """
    if opening.certain:
        return opening, ()
    results = tuple(
        await asyncio.gather(
            *(
                probe_webservice(store, opening.dialer(store, timeouts), opening.host(store))
                for store in opening.candidates
            )
        )
    )
    return choose(opening, results), results


async def probe_openings(
    openings: Sequence[Opening], timeouts: TimeoutSettings
) -> list[tuple[Opening, tuple[ProbeResult, ...]]]:
    """``probe_opening`` for several at the same time, in their order."""
    return list(await asyncio.gather(*(probe_opening(opening, timeouts) for opening in openings)))


def choose(opening: Opening, results: Sequence[ProbeResult]) -> Opening:
    """The opening with the one reading at which the webservice answered; unchanged when none or several did."""
    found = [result.store for result in results if result.verdict is Verdict.WEBSERVICE]
    return opening.decided(found[0]) if len(found) == 1 else opening


async def probe_webservice(store: Store, dialer: TcpDialer, host: str) -> ProbeResult:
    """``GET <shop>/api/`` with a dummy key; redirects are not followed. Takes at most 5 s and never raises."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            head = await _ask(store, dialer, host)
    except TimeoutError:
        return ProbeResult(store, Verdict.UNREACHABLE, f"no answer within {PROBE_TIMEOUT_S:.0f} s")
    except ExchangeError as error:
        return ProbeResult(store, Verdict.UNREACHABLE, error.detail or error.summary)
    return judge_answer(store, head)


def judge_answer(store: Store, head: bytes) -> ProbeResult:
    """Read the head of an answer.

    The webservice is known by ``PSWS-Version`` or its ``X-Powered-By``, or by the realm of the plain 401 that comes
    where the web server drops ``Authorization``.
    """
    lines = head.split(b"\r\n")
    parts = lines[0].split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        return ProbeResult(store, Verdict.SOMETHING_ELSE, "the answer is not HTTP")
    fields = ((name.strip(), value) for name, colon, value in (line.partition(b":") for line in lines[1:]) if colon)
    answer = ProbeAnswer(int(parts[1]), tuple(fields))
    status = answer.status
    if answer.from_webservice:
        return ProbeResult(store, Verdict.WEBSERVICE, f"the webservice answers (status {status})")
    if status == 401 and answer.asks_for_key:
        return ProbeResult(
            store, Verdict.WEBSERVICE, "the webservice answers, but the web server drops the Authorization field"
        )
    if 300 <= status < 400:
        return ProbeResult(store, Verdict.REDIRECT, f"redirected to {answer.redirect_place[1] or 'another place'}")
    return ProbeResult(store, Verdict.SOMETHING_ELSE, f"status {status} without a sign of the webservice")


async def _ask(store: Store, dialer: TcpDialer, host: str) -> bytes:
    """The head of the answer, or what came of it before the other side closed."""
    credentials = base64.b64encode(f"{DUMMY_KEY}:".encode()).decode()
    request = (
        f"GET {store.shop_path}api/ HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {credentials}\r\n"
        "User-Agent: prestashop-agent\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    answer = await dialer.dial(_Answer)
    try:
        answer.transport.write(request.encode())
        return await answer.head
    finally:
        answer.transport.abort()


class _Answer(asyncio.Protocol):
    """Collects bytes up to the end of the head."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._seen = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if b"\r\n\r\n" in self._seen or len(self._seen) > _HEAD_MAX_BYTES:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - part of the protocol
        self._finish()

    def _finish(self) -> None:
        if not self.head.done():
            self.head.set_result(bytes(self._seen).partition(b"\r\n\r\n")[0])
