"""Hostile messages: broken or doubtful HTTP/1.1, on which two parsers in a row could disagree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_GET = b"GET @TARGET@ HTTP/1.1\r\n@FIELDS@"
_POST = b"POST @TARGET@ HTTP/1.1\r\n@FIELDS@Content-Type: text/xml\r\n"
_SMUGGLED = b"GET /admin-dev/ HTTP/1.1\r\nHost: x\r\n\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class MessageCase:
    """A whole request; ``cut``: its head is good, its body is broken."""

    id: str
    category: str
    raw: bytes
    error: str = "bad_request"
    cut: bool = False


@dataclass(frozen=True, slots=True)
class StrippedCase:
    """See ``tests.kit.hostile.Stripped``."""

    id: str
    raw: bytes
    absent: tuple[bytes, ...]
    present: tuple[bytes, ...] = ()


FRAMING = (
    ("length-and-chunked", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _SMUGGLED),
    ("chunked-and-length", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + _SMUGGLED),
    ("two-lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + _SMUGGLED),
    ("two-equal-lengths", b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    ("length-list", b"Content-Length: 5, 5\r\n\r\nhello"),
    ("length-plus", b"Content-Length: +5\r\n\r\nhello"),
    ("length-minus", b"Content-Length: -1\r\n\r\n"),
    ("length-hex", b"Content-Length: 0x5\r\n\r\nhello"),
    ("length-blank-inside", b"Content-Length: 1 5\r\n\r\nhello"),
    ("length-underscore", b"Content-Length: 1_0\r\n\r\nhellohello"),
    ("length-point", b"Content-Length: 5.0\r\n\r\nhello"),
    ("length-empty", b"Content-Length:\r\n\r\nhello"),
    ("length-quoted", b'Content-Length: "5"\r\n\r\nhello'),
    ("length-huge", b"Content-Length: 99999999999999999999\r\n\r\nhello"),
    ("length-folded", b"Content-Length: 1\r\n 0\r\n\r\nhellohello"),
    ("length-blank-before-colon", b"Content-Length : 5\r\n\r\nhello"),
    ("coding-twice", b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("coding-in-two-lines", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("coding-identity-then-chunked", b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("coding-unknown", b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("coding-gzip", b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("coding-identity", b"Transfer-Encoding: identity\r\n\r\n"),
    ("coding-parameter", b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    ("coding-comma", b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"),
    ("coding-quoted", b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n'),
    ("coding-vertical-tab", b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("coding-nul", b"Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n"),
    ("coding-folded", b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    ("coding-blank-before-colon", b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("coding-empty", b"Transfer-Encoding:\r\n\r\n"),
)

LINES = (
    ("bare-lf-in-head", b"X-A: 1\nX-B: 2\r\n\r\n"),
    ("bare-lf-at-the-end", b"X-A: 1\r\n\n"),
    ("bare-cr-in-value", b"X-A: 1\rX-B: 2\r\n\r\n"),
    ("nul-in-value", b"X-A: 1\x002\r\n\r\n"),
    ("escape-in-value", b"X-A: \x1b[2J\r\n\r\n"),
    ("delete-in-value", b"X-A: \x7f\r\n\r\n"),
    ("nul-in-name", b"X\x00A: 1\r\n\r\n"),
    ("blank-in-name", b"X A: 1\r\n\r\n"),
    ("high-byte-in-name", b"X-\xc3\xa9: 1\r\n\r\n"),
    ("blank-before-colon", b"X-A : 1\r\n\r\n"),
    ("tab-before-colon", b"X-A\t: 1\r\n\r\n"),
    ("folded-with-blank", b"X-A: 1\r\n 2\r\n\r\n"),
    ("folded-with-tab", b"X-A: 1\r\n\tTransfer-Encoding: chunked\r\n\r\n"),
    ("blank-before-name", b" X-A: 1\r\n\r\n"),
    ("no-colon", b"X-A\r\n\r\n"),
    ("no-name", b": 1\r\n\r\n"),
    ("two-hosts", b"Host: other.example\r\n\r\n"),
    ("two-hosts-in-another-case", b"hOST: other.example\r\n\r\n"),
    ("second-host-empty", b"Host:\r\n\r\n"),
)

REQUEST_LINES = (
    ("no-version", b"GET @TARGET@\r\n@FIELDS@\r\n"),
    ("version-0.9", b"GET @TARGET@ HTTP/0.9\r\n@FIELDS@\r\n"),
    ("version-1.2", b"GET @TARGET@ HTTP/1.2\r\n@FIELDS@\r\n"),
    ("version-2", b"GET @TARGET@ HTTP/2.0\r\n@FIELDS@\r\n"),
    ("version-in-small-letters", b"GET @TARGET@ http/1.1\r\n@FIELDS@\r\n"),
    ("version-with-zero", b"GET @TARGET@ HTTP/1.01\r\n@FIELDS@\r\n"),
    ("version-and-blank", b"GET @TARGET@ HTTP/1.1 \r\n@FIELDS@\r\n"),
    ("version-of-another-protocol", b"GET @TARGET@ RTSP/1.0\r\n@FIELDS@\r\n"),
    ("two-blanks", b"GET  @TARGET@ HTTP/1.1\r\n@FIELDS@\r\n"),
    ("tab", b"GET\t@TARGET@ HTTP/1.1\r\n@FIELDS@\r\n"),
    ("blank-in-target", b"GET @TARGET@?filter[name]=a b HTTP/1.1\r\n@FIELDS@\r\n"),
    ("smuggled-in-target", b"GET @TARGET@ HTTP/1.1\r\nX: y\r\n\r\nGET /admin-dev/ HTTP/1.1\r\n@FIELDS@\r\n"),
    ("control-in-target", b"GET @TARGET@?a=\x01 HTTP/1.1\r\n@FIELDS@\r\n"),
    ("nul-in-target", b"GET @TARGET@\0 HTTP/1.1\r\n@FIELDS@\r\n"),
    ("delete-in-target", b"GET @TARGET@?a=\x7f HTTP/1.1\r\n@FIELDS@\r\n"),
    ("cr-in-target", b"GET @TARGET@\rX HTTP/1.1\r\n@FIELDS@\r\n"),
    ("fragment-in-target", b"GET @TARGET@?a=1#&id_shop=2 HTTP/1.1\r\n@FIELDS@\r\n"),
    ("bare-lf", b"GET @TARGET@ HTTP/1.1\n@FIELDS@\r\n"),
    ("method-with-colon", b"GET: @TARGET@ HTTP/1.1\r\n@FIELDS@\r\n"),
    ("method-with-nul", b"GE\0T @TARGET@ HTTP/1.1\r\n@FIELDS@\r\n"),
    ("method-too-long", b"G" * 33 + b" @TARGET@ HTTP/1.1\r\n@FIELDS@\r\n"),
    ("no-method", b" @TARGET@ HTTP/1.1\r\n@FIELDS@\r\n"),
    ("blank-line-of-blanks", b" \r\nGET @TARGET@ HTTP/1.1\r\n@FIELDS@\r\n"),
    ("no-host", b"GET @TARGET@ HTTP/1.1\r\nAuthorization: Basic @CREDENTIAL@\r\n\r\n"),
    ("chunked-in-1.0", b"POST @TARGET@ HTTP/1.0\r\n@FIELDS@Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("h2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("a-response", b"HTTP/1.1 200 OK\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
    ("proxy-protocol", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET @TARGET@ HTTP/1.1\r\n@FIELDS@\r\n"),
)

CHUNKS = (
    ("size-overflow", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
    ("size-minus", b"-5\r\nhello\r\n0\r\n\r\n"),
    ("size-plus", b"+5\r\nhello\r\n0\r\n\r\n"),
    ("size-0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("size-not-hex", b"5g\r\nhello\r\n0\r\n\r\n"),
    ("size-empty", b"\r\nhello\r\n0\r\n\r\n"),
    ("size-blank-before", b" 5\r\nhello\r\n0\r\n\r\n"),
    ("size-blank-after", b"5 \r\nhello\r\n0\r\n\r\n"),
    ("size-underscore", b"0_5\r\nhello\r\n0\r\n\r\n"),
    ("size-bare-lf", b"5\nhello\r\n0\r\n\r\n"),
    ("size-bare-cr", b"5\rhello\r\n0\r\n\r\n"),
    ("extension-with-nul", b"5;a=\x00\r\nhello\r\n0\r\n\r\n"),
    ("extension-with-cr", b"5;a=b\rc\r\nhello\r\n0\r\n\r\n"),
    ("extension-with-lf", b"5;a=b\nhello\r\n0\r\n\r\n"),
    ("extension-too-long", b"5;a=" + b"b" * 300 + b"\r\nhello\r\n0\r\n\r\n"),
    ("end-missing", b"5\r\nhelloXX0\r\n\r\n"),
    ("end-lf", b"5\r\nhello\n0\r\n\r\n"),
    ("end-too-late", b"5\r\nhello!\r\n0\r\n\r\n"),
    ("last-with-lf", b"5\r\nhello\r\n0\n\n"),
    ("trailer-field", b"5\r\nhello\r\n0\r\nCookie: ps_method=DELETE\r\n\r\n"),
)

_DIGITS = b"1" * 9000
OVERSIZE = (
    MessageCase("long-path", "oversize", b"GET @TARGET@/" + _DIGITS + b" HTTP/1.1\r\n\r\n", "target_too_long"),
    MessageCase("long-query", "oversize", b"GET @TARGET@?a=" + _DIGITS + b" HTTP/1.1\r\n\r\n", "target_too_long"),
    MessageCase("endless-line", "oversize", b"GET @TARGET@?a=" + b"1" * 70_000, "target_too_long"),
    MessageCase("long-field", "oversize", _GET + b"X-A: " + b"1" * 70_000 + b"\r\n\r\n", "head_too_large"),
    MessageCase("many-fields", "oversize", _GET + b"X-A: 1\r\n" * 9000 + b"\r\n", "head_too_large"),
    MessageCase("endless-head", "oversize", _GET + b"X-A: 1\r\n" * 9000, "head_too_large"),
)  # a table to be compared by eye  # fmt: skip


def cases() -> Iterator[MessageCase]:
    """Every message; ``@TARGET@`` and ``@FIELDS@`` are the hop's."""
    for name, rest in FRAMING:
        yield MessageCase(f"framing-{name}", "framing", _POST + rest)
    for name, rest in LINES:
        yield MessageCase(f"line-{name}", "line", _GET + rest)
    for name, raw in REQUEST_LINES:
        yield MessageCase(f"request-line-{name}", "request line", raw)
    for name, body in CHUNKS:
        yield MessageCase(f"chunk-{name}", "chunk", _CHUNKED + body, cut=True)
    yield from OVERSIZE


_HOST = b"Host: gateway.example\r\n"
CREDENTIALS: tuple[tuple[str, bytes], ...] = (
    ("no-credential", b"GET @TARGET@ HTTP/1.1\r\n" + _HOST + b"\r\n"),
    ("wrong-key", b"GET @TARGET@ HTTP/1.1\r\n" + _HOST + b"Authorization: Basic QUJDOg==\r\n\r\n"),
    (
        "wrong-basic-beats-right-ws-key",
        b"GET @TARGET@?ws_key=@KEY@ HTTP/1.1\r\n" + _HOST + b"Authorization: Basic QUJDOg==\r\n\r\n",
    ),
    (
        "two-credentials",
        b"GET @TARGET@ HTTP/1.1\r\n" + _HOST + b"Authorization: Basic @CREDENTIAL@\r\n" * 2 + b"\r\n",
    ),
    ("broken-base64", b"GET @TARGET@ HTTP/1.1\r\n" + _HOST + b"Authorization: Basic @CREDENTIAL@!\r\n\r\n"),
    ("key-in-a-field-of-its-own", b"GET @TARGET@ HTTP/1.1\r\n" + _HOST + b"X-Api-Key: @KEY@\r\n\r\n"),
    ("key-in-a-cookie", b"GET @TARGET@ HTTP/1.1\r\n" + _HOST + b"Cookie: ws_key=@KEY@\r\n\r\n"),
    ("key-as-an-array", b"GET @TARGET@?ws_key[]=@KEY@ HTTP/1.1\r\n" + _HOST + b"\r\n"),
)


def _field(id_: str, line: bytes, *absent: bytes) -> StrippedCase:
    return StrippedCase(id_, _GET + line + b"\r\n\r\n", absent)


_XML = b"<prestashop/>"

STRIPPED: tuple[StrippedCase, ...] = (
    _field("cookie", b"Cookie: ps_method=DELETE; url=customers", b"cookie", b"ps_method"),
    _field("cookie-in-capitals", b"COOKIE: ps_method=DELETE", b"cookie", b"ps_method"),
    _field("cookie2", b"Cookie2: ps_method=DELETE", b"cookie2", b"ps_method"),
    _field("x-forwarded-host", b"X-Forwarded-Host: evil.example", b"forwarded", b"evil.example"),
    _field("x-forwarded-host-with-underscores", b"X_Forwarded_Host: evil.example", b"forwarded", b"evil.example"),
    _field("x-forwarded-host-with-dots", b"X.Forwarded.Host: evil.example", b"forwarded", b"evil.example"),
    _field("x-forwarded-for", b"X-Forwarded-For: 127.0.0.1", b"forwarded"),
    _field("x-forwarded-proto", b"X-Forwarded-Proto: https", b"forwarded"),
    _field("x-forwarded-server", b"X-Forwarded-Server: evil.example", b"forwarded", b"evil.example"),
    _field("forwarded", b"Forwarded: host=evil.example", b"forwarded", b"evil.example"),
    _field("x-host", b"X-Host: evil.example", b"evil.example"),
    _field("x-real-ip", b"X-Real-IP: 127.0.0.1", b"real-ip"),
    _field("x-original-url", b"X-Original-URL: /admin-dev/", b"original", b"admin-dev"),
    _field("x-rewrite-url", b"X-Rewrite-URL: /admin-dev/", b"rewrite", b"admin-dev"),
    _field("method-override", b"X-HTTP-Method-Override: DELETE", b"override", b"delete"),
    _field("httpoxy", b"Proxy: http://evil.example/", b"evil.example"),
    _field("second-authorization-by-underscore", b"HTTP_AUTHORIZATION: Basic RVZJTDo=", b"rvzjtdo"),
    _field("length-by-underscore", b"Content_Length: 40", b"content_length"),
    _field("coding-by-underscore", b"Transfer_Encoding: chunked", b"transfer_encoding"),
    _field("upgrade-websocket", b"Connection: Upgrade\r\nUpgrade: websocket", b"upgrade", b"websocket"),
    _field(
        "upgrade-h2c",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
        b"upgrade", b"h2c", b"http2-settings",
    ),
    _field("connection-names-fields", b"Connection: Authorization, Host, X-Request-Id", b"connection: auth"),
    _field("proxy-authorization", b"Proxy-Authorization: Basic RVZJTDo=", b"proxy-", b"rvzjtdo"),
    _field("tunnel-nonce", b"X-Tunnel-Nonce: 00 policy_denied", b"nonce"),
    _field("referer", b"Referer: http://evil.example/?ws_key=SECRET", b"referer", b"secret"),
    StrippedCase(
        "form",
        b"POST @TARGET@ HTTP/1.1\r\n@FIELDS@Content-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 13\r\n\r\n" + _XML,
        (b"urlencoded",),
        (b"text/xml", _XML),
    ),
    StrippedCase(
        "form-with-parameters",
        b"POST @TARGET@ HTTP/1.1\r\n@FIELDS@Content-Type: Application/X-WWW-Form-Urlencoded ; charset=utf-8\r\n"
        b"Content-Length: 13\r\n\r\n" + _XML,
        (b"urlencoded", b"charset"),
        (b"text/xml", _XML),
    ),
    StrippedCase(
        "second-type-is-a-form",
        b"POST @TARGET@ HTTP/1.1\r\n@FIELDS@Content-Type: text/xml\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        b"Content-Length: 13\r\n\r\n" + _XML,
        (b"multipart", b"boundary"),
        (b"text/xml", _XML),
    ),
)  # a table to be compared by eye  # fmt: skip
"""The request is served; ``absent`` is searched in lower case in all that the store received."""
