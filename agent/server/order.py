"""From a client's request head to what is asked of a store: connection found, rights judged, head rebuilt. Pure."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from itertools import chain
from urllib.parse import quote

from agent.errors import ClientKeyInvalid, ConnectionDisabled, ExchangeError, PolicyDenied, ScopeDenied
from agent.http1 import Field, Framing, RequestHead
from agent.php_query import without_parameter
from agent.policy import Denial, judge, sent_content_type
from agent.request_heads import REMEMBERED_MAX_BYTES, REMEMBERED_MAX_FIELDS
from agent.rewrite import REQUEST_ID_FIELD, forwarded_fields, request_head, wants_json
from agent.server.credentials import key_in_fields, key_in_query
from agent.server.routes import KeyGrant, Route, RoutingTable
from agent.target import gateway_target, store_target
from agent.trace_context import trace_id

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_IDS_AT_ONCE = 256
_ids: list[bytes] = []
_RIGHTS = (Denial.METHOD, Denial.RESOURCE)


@dataclass(slots=True)
class Order:
    """One request as the gateway has understood it.

    ``sent_head`` is what goes into the tunnel; ``error`` is set when it must not go anywhere; ``trace_id`` is the
    caller's, "" where it gave none.
    """

    request_id: bytes
    head: RequestHead = field(repr=False)
    route: Route | None = None
    grant: KeyGrant | None = None
    method: str = ""
    target: bytes = field(default=b"", repr=False)
    sent_head: bytes = field(default=b"", repr=False)
    error: ExchangeError | None = None
    trace_id: str = ""

    @property
    def plain_head(self) -> bytes:
        """The same in origin-form: a stock ssh tunnel has no agent behind it, it ends at its one store."""
        assert self.route is not None  # noqa: S101 - there is no head without a route
        return self.sent_head.replace(b" " + self.route.target_prefix, b" ", 1)

    @property
    def as_json(self) -> bool:
        """Is an error of ours to be told in JSON?"""
        return wants_json(self.head.fields, self.head.target)

    @property
    def to_head(self) -> bool:
        """Does it ask for a head only?"""
        return self.head.method == b"HEAD"

    @property
    def is_last(self) -> bool:
        """Does the client's connection end with it? HTTP/1.0 keep-alive is not spoken."""
        return not self.head.keep_alive or self.head.minor == 0

    @property
    def safe(self) -> bool:
        """Is it a read, judged by what the store will really do (RFC 9110 9.2.1)?"""
        return self.method in ("GET", "HEAD")

    def withdrawn(self, table: RoutingTable, now: float) -> ExchangeError | None:
        """Why it must not be sent any more at unix time ``now``, None if it may: what allowed it can have gone since.

        A request of the server itself has no key and is always allowed.
        """
        route, grant = self.route, self.grant
        if route is None or grant is None or table.still_open(route, grant, now):
            return None
        if table.route(route.connection_id) is None or not table.key_opens(route, grant, now):
            return ClientKeyInvalid()
        return ConnectionDisabled("It was switched off or changed while the request waited.")

    @property
    def repeatable(self) -> bool:
        """May it be sent once more as long as nothing was answered: a read without a body?"""
        return self.safe and self.head.framing is Framing.NONE


def request_id_of(head: RequestHead) -> bytes:
    """The caller's own id when it is harmless, else a new one of 16 hexadecimal digits."""
    given = head.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given) is not None:
        return given
    return new_request_id()


def new_request_id() -> bytes:
    """16 random hexadecimal digits."""
    # The system's randomness is asked for in bulk: a call costs 0.5 us, and as much as 10 where it is a real one.
    if not _ids:
        digits = secrets.token_hex(8 * _IDS_AT_ONCE).encode()
        _ids.extend(digits[at : at + 16] for at in range(0, len(digits), 16))
    return _ids.pop()


class KnownFields:
    """What a client's field lines lead to, kept for its next request, which has the same (see ``RequestHeads``)."""

    __slots__ = ("_fields", "_forwarded", "_forwarded_for", "_key")

    def __init__(self) -> None:
        self._fields: list[Field] | None = None
        self._key: tuple[bool, bytes | None] = (False, None)
        self._forwarded_for: tuple[bytes, frozenset[bytes]] | None = None
        self._forwarded = b""

    def client_key(self, head: RequestHead, target: bytes) -> bytes | None:
        """The key in ``head``, or in ``target``, which is the one without the connection; None: there is none."""
        if head.fields is not self._fields:
            self._fields = head.fields if _is_small(head.fields) else None
            self._key = key_in_fields(head.fields)
            self._forwarded_for = None
        is_there, key = self._key
        return key if is_there else key_in_query(target)

    def forwarded(self, head: RequestHead, omitted: frozenset[bytes]) -> bytes:
        """``forwarded_fields`` of the head that was asked about last."""
        if self._fields is None:
            return forwarded_fields(head, omitted=omitted)
        if self._forwarded_for != (head.method, omitted):
            self._forwarded, self._forwarded_for = forwarded_fields(head, omitted=omitted), (head.method, omitted)
        return self._forwarded


def _is_small(fields: list[Field]) -> bool:
    """Others are not kept while a client is idle, whoever it is (see ``RequestHeads``)."""
    return len(fields) <= REMEMBERED_MAX_FIELDS and sum(map(len, chain(*fields))) <= REMEMBERED_MAX_BYTES


def take_order(head: RequestHead, table: RoutingTable, now: float, known: KnownFields | None = None) -> Order:
    """Understand a request at unix time ``now``; what is wrong with it is in ``Order.error``.

    ``known`` belongs to the client's connection. Raises ``MessageError`` for a target that is none.
    """
    known = known or KnownFields()
    order = Order(request_id_of(head), head)
    if b"traceparent" in head.first:
        order.trace_id = trace_id(head.fields)
    slug, rest = gateway_target(head.target)
    found = table.find(slug, known.client_key(head, rest), now)
    if found is None:
        order.error = ClientKeyInvalid()
        return order
    order.route, order.grant = route, grant = found
    if not route.enabled:
        order.error = ConnectionDisabled()
        return order
    target = store_target(route.store, without_parameter(rest, b"ws_key"))
    order.target = target
    content_type = sent_content_type(head.method, head.get(b"content-type"))
    decision = judge(table.rule_of(route, grant), head.method, target, content_type)
    order.method = decision.method
    if decision.denial is not None:
        denied = ScopeDenied if decision.denial in _RIGHTS and decision.method else PolicyDenied
        order.error = denied(decision.detail)
        return order
    order.sent_head = head_for(route, head, target, order.request_id, known)
    return order


def head_for(route: Route, head: RequestHead, target: bytes, request_id: bytes, known: KnownFields) -> bytes:
    """The proxy request for ``target`` (origin-form): absolute-form, Host and API key of the store, our request id.

    The id comes last, because it is what differs from the head before (see ``RequestHeads``).
    """
    if route.key_in == "ws_key":
        joint = b"&" if b"?" in target else b"?"
        target += joint + b"ws_key=" + quote(route.api_key, safe="").encode()
    forwarded = known.forwarded(head, route.omitted_http10 if head.minor == 0 else route.omitted)
    fields = b"".join((route.own_fields, forwarded, REQUEST_ID_FIELD, b": ", request_id, b"\r\n"))
    return request_head(head, route.target_prefix + target, route.host, fields)
