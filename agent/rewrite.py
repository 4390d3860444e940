"""The heads that are sent on: closed lists of what the store and the client may see. Pure: no I/O, no logging.

Requests are rebuilt from an allow-list (a field that is not on it does not exist for the store); responses pass
untouched but for a closed list of removals, so that case, order and blanks survive byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Final

from agent.errors import BY_NAME, ExchangeError
from agent.http1 import Field, RequestHead, ResponseHead
from agent.policy import sent_content_type
from agent.trace_context import TRACE_FIELDS, trace_id

NONCE_FIELD: Final = b"X-Tunnel-Nonce"
"""Marks an error made by the agent: ``<nonce of the tunnel> <error name>``. Never passed to a client."""

REQUEST_ID_FIELD: Final = b"X-Request-Id"

FORWARDED_FIELDS: Final[frozenset[bytes]] = frozenset(
    name.encode()
    for name in (
        # the body and its framing
        "content-length transfer-encoding content-type content-encoding content-language content-md5 expect "
        # what the webservice reads
        "authorization output-format io-format local-content-sha1 range "
        # what web servers and caches in front of the store read
        "accept accept-charset accept-encoding accept-language cache-control pragma "
        "if-match if-none-match if-modified-since if-unmodified-since if-range user-agent date "
        # tracing; of the latter two only what is well-formed
        "x-request-id traceparent tracestate"
    ).split()
)
"""Request fields that reach the store, in lower case. No Cookie, Forwarded, X-Forwarded-*, Referer, Origin: the
store reads overrides and its own address from some of them, and none is needed by the webservice."""

_FIELD_NAME = re.compile(rb"[A-Za-z0-9-]+")
_NEVER_EXTRA: Final[frozenset[bytes]] = frozenset(
    b"host cookie connection content-length transfer-encoding expect upgrade forwarded te trailer keep-alive "
    b"proxy-connection proxy-authorization authorization x-http-method-override".split()
)

# Hop-by-hop (RFC 9110 7.6.1) but for Transfer-Encoding, whose framing is passed on as it is; the store's cookies;
# and the fields with which this product speaks for itself.
_REMOVED: Final = (
    "connection", "keep-alive", "proxy-connection", "te", "upgrade", "set-cookie", "set-cookie2", "proxy-status",
    "x-request-id", "x-tunnel-nonce",
)  # a list to be scanned  # fmt: skip
_REMOVED_BY_GATEWAY: Final = (*_REMOVED, "x-content-type-options", "content-security-policy")


def _fields_named(names: Collection[str]) -> bytes:
    """A pattern of these fields, each with the line break before it; lower case."""
    initials = "".join(sorted({name[0] for name in names}))  # looked at first: that is what rules out most lines
    return rf"\r\n(?=[{initials}])(?:{'|'.join(names)}):[^\r]*+".encode()


_OF_STORE = re.compile(rb"(?i)" + _fields_named(_REMOVED))
_OF_TUNNEL = re.compile(rb"(?i)" + _fields_named(_REMOVED_BY_GATEWAY))
_OF_TUNNEL_IN_LOWER_CASE = re.compile(_fields_named(_REMOVED_BY_GATEWAY))  # twice as fast
_OF_AGENT = re.compile(rb"(?i)" + _fields_named([name for name in _REMOVED_BY_GATEWAY if name != "proxy-status"]))
_NONCE = re.compile(rb"(?i)\r\nx-tunnel-nonce:[ \t]*+([0-9a-f]{16,128}) ([a-z_]{1,40})[ \t]*+(?=\r\n)")
_TRANSFER_ENCODING = re.compile(rb"(?i)\r\ntransfer-encoding:[^\r]*+")
_CLOSE: Final = b"Connection: close\r\n"
_NOTHING_NOMINATED: Final = ((), (b"keep-alive",), (b"close",))
_GATEWAY_FIELDS: Final = b"X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n\r\n"


def is_extra_field_allowed(name: bytes) -> bool:
    """May a settings file let this further request field through? Never one that changes framing, host or rights."""
    lower = name.lower()
    return (
        _FIELD_NAME.fullmatch(name) is not None
        and lower not in _NEVER_EXTRA
        and not lower.startswith((b"x-forwarded-", b"proxy-", b"sec-"))
    )


def request_head(
    head: RequestHead,
    target: bytes,
    host: bytes,
    fields: bytes,
) -> bytes:
    """The head that is sent on; ``target``, ``Host`` and ``fields`` (whole lines) are its caller's."""
    return b"".join((head.method, b" ", target, b" HTTP/1.1\r\nHost: ", host, b"\r\n", fields, b"\r\n"))


def forwarded_fields(
    head: RequestHead, *, omitted: frozenset[bytes] = frozenset(), extra: frozenset[bytes] = frozenset()
) -> bytes:
    """The lines of the fields of ``head`` that are on the allow-list, in their order and case, less ``omitted``.

    ``omitted`` and ``extra`` are lower-case names. Depends on nothing but the fields and the method.
    """
    typed = False
    is_traced: bool | None = None  # looked at once, and only where it matters: a head may have thousands of fields
    lines: list[bytes] = []
    for name, value in head.fields:
        lower = name.lower()
        if (lower not in FORWARDED_FIELDS and lower not in extra) or lower in omitted:
            continue
        if lower in TRACE_FIELDS:
            if is_traced is None:
                is_traced = bool(trace_id(head.fields))
            if not is_traced:
                continue
        sent = value
        if lower == b"content-type":
            if typed:
                continue  # a second one could be the form that the first one hid
            typed = True
            sent = sent_content_type(head.method, value) or value
        lines += (name, b": ", sent, b"\r\n")
    return b"".join(lines)


def _without_nominated(raw: bytes, head: ResponseHead) -> bytes:
    """Remove the fields that ``Connection`` names (RFC 9110 7.6.1); framing fields cannot be named away."""
    if head.connection_options in _NOTHING_NOMINATED:
        return raw
    nominated = [
        re.escape(option)
        for option in head.connection_options
        if option not in (b"close", b"keep-alive", b"transfer-encoding", b"content-length", b"content-type")
    ]
    if not nominated:
        return raw
    return re.sub(rb"(?i)\r\n(?:" + b"|".join(nominated) + rb"):[^\r]*+", b"", raw)


def response_from_store(head: ResponseHead, *, last: bool = False) -> bytes:
    """The store's head as the agent passes it on; ``last``: its channel will not carry another exchange."""
    raw = _OF_STORE.sub(b"", _without_nominated(head.raw, head))
    return raw[:-2] + _CLOSE + b"\r\n" if last else raw


def agent_error_name(head: ResponseHead, nonce: bytes) -> str | None:
    """The error's name when this head was made by the agent of this tunnel; None when the store made it."""
    if not nonce or nonce not in head.raw:
        return None
    match = _NONCE.search(head.raw)
    if match is None or match.group(1) != nonce:
        return None
    name = match.group(2).decode()
    return name if name in BY_NAME else None


def response_to_client(
    head: ResponseHead, request_id: bytes, *, by_agent: bool, close: bool, dechunked: bool = False
) -> bytes:
    """The head as the client gets it: the same closed list again (the agent is not trusted with it), plus our own
    request id and the two fields that keep a browser from running what a store says.

    ``by_agent``: the nonce was right, so ``Proxy-Status`` is ours and stays.
    """
    raw = _without_nominated(head.raw, head)
    if by_agent:
        raw = _OF_AGENT.sub(b"", raw)
    elif _OF_TUNNEL_IN_LOWER_CASE.search(head.lower) is not None:  # an honest agent has left nearly nothing of it
        raw = _OF_TUNNEL.sub(b"", raw)
    if dechunked:
        raw = _TRANSFER_ENCODING.sub(b"", raw)
    connection = _CLOSE if close else b""
    return b"".join((raw[:-2], REQUEST_ID_FIELD, b": ", request_id, b"\r\n", connection, _GATEWAY_FIELDS))


def wants_json(fields: list[Field], target: bytes) -> bool:
    """Does the request ask for JSON as PrestaShop understands it (the header wins over the query)?"""
    for name, value in fields:
        if name.lower() in (b"output-format", b"io-format"):
            return value.upper() == b"JSON"
    query = target.partition(b"?")[2].lower()
    return b"output_format=json" in query or b"io_format=json" in query


_XML_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def error_body(error: ExchangeError, *, as_json: bool, about: bytes = b"") -> bytes:
    """The body in PrestaShop's own error shape; ``about`` is the request's id."""
    message = error.message_about(about[:64].decode("ascii", "replace"))
    if as_json:
        return json.dumps({"errors": [{"code": error.code, "message": message}]}).encode()
    text = "".join(_XML_ESCAPES.get(character, character) for character in message)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<prestashop xmlns:xlink="http://www.w3.org/1999/xlink">\n<errors>\n<error>\n'
        f"<code><![CDATA[{error.code}]]></code>\n<message>{text}</message>\n"
        "</error>\n</errors>\n</prestashop>\n"
    ).encode()


_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def error_response(
    error: ExchangeError,
    *,
    proxy: str,
    as_json: bool,
    to_head: bool,
    request_id: bytes = b"",
    about: bytes = b"",
    nonce: bytes = b"",
    close: bool = False,
) -> bytes:
    """A whole error answer: PrestaShop's body shape, ``Proxy-Status`` (RFC 9209) naming ``proxy``, and hints.

    ``request_id`` is set by the gateway; ``nonce`` by the agent, and ``about``, the id for the text alone.
    """
    body = error_body(error, as_json=as_json, about=about or request_id)
    lines = [
        f"HTTP/1.1 {error.status} {_REASONS[error.status]}",
        f'Proxy-Status: {proxy}; error={error.proxy_error_type}; details="{error.name}"',
        "Content-Type: " + ("application/json" if as_json else "text/xml;charset=utf-8"),
        f"Content-Length: {len(body)}",
    ]
    if error.status == 401:
        # PrestaShop's own challenge, so that clients which wait for it behave as with the store.
        lines.append(
            'WWW-Authenticate: Basic realm="Welcome to PrestaShop Webservice, please enter the client key as the login"'
        )
    if error.retry_after is not None:
        lines.append(f"Retry-After: {error.retry_after}")
    head = "\r\n".join(lines).encode() + b"\r\n"
    if nonce:
        head += NONCE_FIELD + b": " + nonce + b" " + error.name.encode() + b"\r\n"
    if close:
        head += _CLOSE
    if request_id:
        head += REQUEST_ID_FIELD + b": " + request_id + b"\r\n" + _GATEWAY_FIELDS
    else:
        head += b"\r\n"
    return head if to_head else head + body
