"""The server as its own client: one exchange along the real path, for connection tests and store probes."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Iterable

from agent.doctor.answer import BODY_MAX_BYTES, ProbeAnswer, detail_of
from agent.doctor.answer_bytes import read_answer
from agent.errors import AgentOffline, ExchangeError, StoreBadResponse, StoreTimeout
from agent.http1 import Field, Framing, RequestHead
from agent.server.exchange import Exchange
from agent.server.gateway_context import GatewayContext
from agent.server.order import KnownFields, Order, head_for, request_id_of
from agent.server.routes import Route
from agent.target import store_target
from agent.tunnel.text import printable

_KEPT = 2 * BODY_MAX_BYTES
_MESSAGE = re.compile(rb"<message>([^<]{1,2000})</message>")
_DETAILS = re.compile(rb'details="([a-z_]{1,40})"')


class _Asker:
    """Stands where a client's connection stands (an ``ExchangeClient``); keeps the answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.body_done = True
        self.raw = bytearray()
        self.error: ExchangeError | None = None
        self.over: asyncio.Future[None] = loop.create_future()

    def send(self, data: bytes) -> None:
        if len(self.raw) < 2 * _KEPT:
            self.raw += data

    def want_body(self) -> None:
        """There is none."""

    def hold_body(self) -> None:
        """There is none."""

    def answered(self, *, close: bool) -> None:  # noqa: ARG002 - part of the protocol
        self._end(None)

    def refuse(self, error: ExchangeError) -> None:
        self._end(error)

    def cut(self) -> None:
        self._end(StoreBadResponse("The answer broke off."))

    def _end(self, error: ExchangeError | None) -> None:
        self.error = error
        if not self.over.done():
            self.over.set_result(None)


async def ask(
    context: GatewayContext,
    route: Route,
    method: bytes,
    rest: bytes,
    fields: Iterable[Field] = (),
    timeout_s: float = 30.0,
) -> ProbeAnswer:
    """Send a request without a body for ``rest`` (``/api/...``) to the store of ``route``, with its API key.

    Redirects are not followed. ``route`` need not be in the routing table: an unsaved connection is tested so.
    """
    loop = asyncio.get_running_loop()
    target = store_target(route.store, rest)
    sent = [(b"Accept", b"*/*"), *fields]
    first = {name.lower(): value for name, value in reversed(sent)}
    head = RequestHead(method, target, 1, sent, Framing.NONE, 0, keep_alive=True, first=first)
    request_id = request_id_of(head)
    order = Order(request_id, head, route=route, method=method.decode("ascii"), target=target)
    order.sent_head = head_for(route, head, target, request_id, KnownFields())
    asker = _Asker(loop)
    began_at = loop.time()
    exchange = Exchange(context, asker, order, route)
    exchange.begin()
    try:
        async with asyncio.timeout(timeout_s):
            await asker.over
    except TimeoutError:
        # Without a channel it has waited for a tunnel all the time, and no store was asked anything.
        is_sent = exchange.has_channel or route.mode == "cloud"
        exchange.abandon()
        error = StoreTimeout if is_sent else AgentOffline
        detail = f"No {'whole answer' if is_sent else 'tunnel'} came within {timeout_s:g} s."
        return ProbeAnswer(0, error_name=error.name, elapsed_s=loop.time() - began_at, error_detail=detail)
    elapsed_s = loop.time() - began_at
    if asker.error is not None:
        return ProbeAnswer(0, error_name=asker.error.name, error_detail=asker.error.detail, elapsed_s=elapsed_s)
    return _named(read_answer(bytes(asker.raw), to_head=method == b"HEAD", elapsed_s=elapsed_s, body_max_bytes=_KEPT))


def _named(answer: ProbeAnswer) -> ProbeAnswer:
    """An answer of the agent's own as the error that it names.

    Proxy-Status of a store never comes this far: one that is here was made by the agent (RFC 9209).
    """
    named = _DETAILS.search(answer.field(b"proxy-status"))
    if named is None:
        return answer
    message = _MESSAGE.search(answer.body)
    name = named[1].decode()
    detail = detail_of(name, html.unescape(message[1].decode("utf-8", "replace"))) if message else ""
    return ProbeAnswer(0, error_name=name, error_detail=printable(detail, 400), elapsed_s=answer.elapsed_s)
