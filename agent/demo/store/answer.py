"""An answer before it has a wire form, and its wire form as Apache or nginx would write it. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

from agent.demo.store.config import FrontStyle

SERVICE = "PrestaShop Webservice"
PHP = "PHP/8.2.36"
_SERVERS: dict[FrontStyle, str] = {
    "apache": "Apache/2.4.71 (Debian)",
    "fcgi": "Apache/2.4.71 (Debian)",
    "nginx": "nginx/1.22.1",
}
_LENGTH_MAX = 8192
"""Apache knows the length of a body only while it fits PHP's output buffer; longer ones go out chunked."""
_DEFLATE_MIN = 64
"""mod_deflate leaves bodies alone that would not get shorter."""
_NGINX_CHUNK = 8192
_APACHE_CLOSES = frozenset({400, 408, 413, 414, 417, 431, 500, 501, 502, 503})
_COMPRESSIBLE = ("text/", "application/json", "application/xml")
_REASONS = {302: "Found", 413: "Request Entity Too Large", 414: "Request-URI Too Long"}


@dataclass(slots=True)
class Answer:
    """One answer. ``fields`` are those between Server and the framing, in mod_php's order.

    ``old_status_line``: PHP wrote the status line itself as HTTP/1.0, which also ends the connection on Apache.
    ``by_server``: made by the web server, not by PHP.
    """

    status: int
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    content_type: str | None = None
    reason: str | None = None
    old_status_line: bool = False
    by_server: bool = False
    close: bool = False
    deflate: bool = True
    force_chunked: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the request decides the wire form of its answer."""

    method: str = "GET"
    http10: bool = False
    close: bool = False
    accepts_gzip: bool = False
    byte_range: str | None = None


def render(answer: Answer, asked: Asked, style: FrontStyle) -> tuple[bytes, bool]:
    """The bytes of ``answer`` and whether the connection ends after them."""
    return _render_nginx(answer, asked) if style == "nginx" else _render_apache(answer, asked, style)


def _render_apache(answer: Answer, asked: Asked, style: FrontStyle) -> tuple[bytes, bool]:
    has_body = asked.method != "HEAD" and answer.status not in (204, 304)
    says_close = asked.close or (answer.status in _APACHE_CLOSES and answer.status != 417) or answer.close
    says_close = says_close or asked.http10 or answer.old_status_line
    closes = says_close or answer.status == 417
    fields = [("Date", formatdate(usegmt=True)), ("Server", _SERVERS[style])]
    fields += answer.fields if style == "apache" or answer.by_server else _fastcgi_order(answer.fields)
    status, body = answer.status, answer.body
    if has_body:
        status, body = _filters(answer, asked, fields)
    framed = body
    if has_body:
        by_length = len(body) <= _LENGTH_MAX or answer.by_server
        if style == "fcgi" and not answer.by_server:
            by_length = not body
        if by_length and not answer.force_chunked:
            fields.append(("Content-Length", str(len(body))))
        elif not asked.http10:
            fields.append(("Transfer-Encoding", "chunked"))
            framed = _chunk(body, len(body))
    if says_close:
        fields.append(("Connection", "close"))
    if answer.content_type is not None:
        fields.append(("Content-Type", answer.content_type))
    version = "HTTP/1.0" if asked.http10 or answer.old_status_line else "HTTP/1.1"
    return _head(version, status, answer.reason, fields) + (framed if has_body else b""), closes


def _filters(answer: Answer, asked: Asked, fields: list[tuple[str, str]]) -> tuple[int, bytes]:
    """mod_deflate, then byte ranges; they add their fields where Apache puts them."""
    body = answer.body
    compressible = (answer.content_type or "").startswith(_COMPRESSIBLE)
    if answer.status != HTTPStatus.OK:
        return answer.status, body
    if answer.deflate and not answer.by_server and compressible and len(body) > _DEFLATE_MIN:
        fields.append(("Vary", "Accept-Encoding"))
        if asked.accepts_gzip:
            fields.append(("Content-Encoding", "gzip"))
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            return answer.status, packer.compress(body) + packer.flush()
    if asked.byte_range is not None and (span := _span(asked.byte_range, len(body))) is not None:
        start, end = span
        fields.append(("Content-Range", f"bytes {start}-{end}/{len(body)}"))
        return HTTPStatus.PARTIAL_CONTENT, body[start : end + 1]
    return answer.status, body


def _render_nginx(answer: Answer, asked: Asked) -> tuple[bytes, bool]:
    has_body = asked.method != "HEAD" and answer.status not in (204, 304)
    closes = asked.close or answer.close or asked.http10
    fields = [("Server", _SERVERS["nginx"]), ("Date", formatdate(usegmt=True))]
    if answer.content_type is not None:
        fields.append(("Content-Type", answer.content_type))
    framed = answer.body
    if has_body and answer.by_server:
        fields.append(("Content-Length", str(len(answer.body))))
    elif has_body and not asked.http10:
        fields.append(("Transfer-Encoding", "chunked"))
        framed = _chunk(answer.body, _NGINX_CHUNK)
    fields.append(("Connection", "close" if closes else "keep-alive"))
    fields += _fastcgi_order(answer.fields)
    head = _head("HTTP/1.1", answer.status, answer.reason, fields)
    return head + (framed if has_body else b""), closes


def _fastcgi_order(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """PHP announces itself first; under FastCGI a replaced X-Powered-By moves behind Access-Time instead of staying."""
    powered = ("X-Powered-By", SERVICE)
    if powered not in fields:
        return fields
    moved: list[tuple[str, str]] = []
    for pair in fields:
        if pair != powered:
            moved.append(pair)
        if pair[0] == "Access-Time":
            moved.append(powered)
    return moved


def _head(version: str, status: int, reason: str | None, fields: list[tuple[str, str]]) -> bytes:
    text = reason or _REASONS.get(status) or HTTPStatus(status).phrase
    lines = [f"{version} {int(status)} {text}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1", errors="replace")


def _chunk(body: bytes, size: int) -> bytes:
    pieces = [
        b"%x\r\n%b\r\n" % (len(piece), piece)
        for start in range(0, len(body), size or 1)
        if (piece := body[start : start + size])
    ]
    return b"".join((*pieces, b"0\r\n\r\n"))


def _span(text: str, length: int) -> tuple[int, int] | None:
    """First and last byte of a single range that can be satisfied."""
    unit, _, spec = text.partition("=")
    first, dash, last = spec.strip().partition("-")
    if unit.strip() != "bytes" or not dash or not (first + last).isdecimal() or not length:
        return None
    if not first:
        return max(0, length - int(last)), length - 1
    end = min(int(last), length - 1) if last else length - 1
    return (int(first), end) if int(first) <= end else None
