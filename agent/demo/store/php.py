"""How PHP 8 turns a request into variables: query, form, multipart and cookies, by its own rules of names.

Pure. The rules are those of php_register_variable_ex (main/php_variables.c): percent and plus decoded, cut at NUL,
leading blanks dropped, dots and blanks turned into ``_``, ``a[b][c]`` into arrays, an unmatched ``[`` into ``_``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote_plus, unquote_to_bytes

Value: TypeAlias = "str | Vars"
Vars: TypeAlias = "dict[str, Value]"

_NESTING_MAX = 64
_MEDIA_TYPE_END = re.compile("[;, ]")


@dataclass(slots=True)
class Upload:
    """One file of a multipart body."""

    file_name: str
    content_type: str
    content: bytes


@dataclass(slots=True)
class RequestVars:
    """``$_GET``, ``$_POST``, ``$_FILES`` and the merged ``$_REQUEST``."""

    get: Vars
    post: Vars = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    cookies: Vars = field(default_factory=dict)

    def merged(self) -> Vars:
        """``$_REQUEST``: what comes later in the order wins. Cookies are empty where request_order leaves them out."""
        return {**self.get, **self.post, **self.cookies}


def parse_query(raw: bytes) -> Vars:
    """``$_GET`` of a query string, or ``$_POST`` of an urlencoded form."""
    found: Vars = {}
    for pair in raw.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            assign(found, _url_decode(name), _text(_url_decode(value)))
    return found


def parse_cookies(raw: bytes) -> Vars:
    """``$_COOKIE``; the first of two cookies with one name stays."""
    found: Vars = {}
    for pair in raw.split(b";"):
        name, _, value = pair.lstrip().partition(b"=")
        one: Vars = {}
        assign(one, _url_decode(name), _text(_url_decode(value)))
        for key, content in one.items():
            found.setdefault(key, content)
    return found


def parse_body(content_type: str, body: bytes, into: RequestVars) -> None:
    """Fill ``post`` and ``files`` from the body of a POST; any other content type is left to ``php://input``."""
    media_type = _MEDIA_TYPE_END.split(content_type.strip(), maxsplit=1)[0].lower()
    if media_type == "application/x-www-form-urlencoded":
        into.post.update(parse_query(body))
    elif media_type == "multipart/form-data" and (boundary := _parameter(content_type, "boundary")):
        _parse_multipart(body, boundary.encode("latin-1"), into)


def assign(into: Vars, raw_name: bytes, value: str) -> None:
    """Register ``value`` under ``raw_name`` as PHP would; names that PHP drops are dropped."""
    name = raw_name.split(b"\0")[0].lstrip(b" ")
    bracket = name.find(b"[")
    base = (name if bracket < 0 else name[:bracket]).replace(b" ", b"_").replace(b".", b"_")
    if not base:
        return
    keys, rest = _keys(name[bracket:]) if bracket >= 0 else ([], b"")
    if not keys:
        tail = rest.replace(b"[", b"_").replace(b" ", b"_").replace(b".", b"_")
        into[_text(base + tail)] = value
        return
    place = into
    key = _text(base)
    for following in keys:
        inner = place.get(key)
        if not isinstance(inner, dict):
            inner = {}
            place[key] = inner
        place, key = inner, _next_index(inner) if following == b"" else _text(following)
    place[key] = value


def build_query(variables: Mapping[str, Value], prefix: str = "") -> str:
    """PHP's http_build_query."""
    parts = []
    for name, value in variables.items():
        key = f"{prefix}[{name}]" if prefix else name
        if isinstance(value, dict):
            parts.append(build_query(value, key))
        else:
            parts.append(f"{quote_plus(key, safe='-._')}={quote_plus(value, safe='-._')}")
    return "&".join(part for part in parts if part)


def _keys(brackets: bytes) -> tuple[list[bytes], bytes]:
    """The keys of ``[a][b]junk``, and for an unmatched first bracket the text that becomes part of the name."""
    keys: list[bytes] = []
    rest = brackets
    while rest.startswith(b"[") and len(keys) < _NESTING_MAX:
        end = rest.find(b"]")
        if end < 0:
            return (keys, b"") if keys else ([], rest)
        inner = rest[1:end]
        keys.append(b"" if inner.strip() == b"" else inner)
        rest = rest[end + 1 :]
    return keys, b""


def _next_index(array: Vars) -> str:
    return str(max((int(key) for key in array if key.isdecimal()), default=-1) + 1)


def _url_decode(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def _parameter(header: str, name: str) -> str | None:
    """A parameter of a header value, quoted or not."""
    start = header.lower().find(f"{name}=")
    if start < 0:
        return None
    value = header[start + len(name) + 1 :]
    if value.startswith('"'):
        return value[1:].partition('"')[0]
    return value.partition(";")[0].partition(",")[0].strip()


def _parse_multipart(body: bytes, boundary: bytes, into: RequestVars) -> None:
    delimiter = b"--" + boundary
    for part in (b"\r\n" + body).split(b"\r\n" + delimiter)[1:]:
        if part.startswith(b"--"):
            break
        head, separator, content = part.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not separator:
            continue
        fields = {}
        for line in head.decode("utf-8", errors="replace").split("\r\n"):
            key, _, value = line.partition(":")
            fields[key.strip().lower()] = value.strip()
        disposition = fields.get("content-disposition", "")
        name = _parameter(disposition.replace("filename=", "file="), "name")
        if name is None:
            continue
        if "filename=" in disposition.lower():
            file_name = _parameter(disposition, "filename") or ""
            into.files[name] = Upload(file_name, fields.get("content-type", ""), content)
        else:
            assign(into.post, name.encode(), _text(content))
