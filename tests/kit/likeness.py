"""Compares an answer with a recorded one, apart from what differs on every run. Pure.

Times, cookies, ids of sessions and checksums over links are compared by presence and shape; lists that nobody sorted
as sets; pictures by type; PHP warnings (code 3) by presence.
"""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree as ET

from tests.kit.exchange import Exchange
from tests.kit.wire_client import WireResponse

_BY_SHAPE = frozenset(
    {"date", "access-time", "execution-time", "content-sha1", "set-cookie", "last-modified", "etag", "expires"}
)
_FOLLOWS_FROM_BODY = frozenset({"content-length", "content-range"})
_TIMES = frozenset({"date_add", "date_upd", "last_passwd_gen", "invoice_date", "delivery_date"})
_SECRETS = frozenset({"passwd", "secure_key"})
_LOST_LINE_ENDS = 2
"""Bytes by which a long body may be shorter: the catalogue was read from XML, where CR LF became one character."""
_TIME = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def differences(exchange: Exchange, got: WireResponse) -> dict[str, str]:
    """What differs, by aspect: status, header, framing, interim, codes, body; an empty dict is likeness."""
    wanted = exchange.response
    found: dict[str, str] = {}
    first_line = (wanted.version, wanted.status, wanted.reason)
    if first_line != (got.version, got.status, got.reason):
        found["status"] = f"{first_line} became {(got.version, got.status, got.reason)}"
    _headers(exchange, got, found)
    if wanted.framing != got.framing:
        found["framing"] = f"{wanted.framing} became {got.framing} ({wanted.body_length}, {len(got.body)} bytes)"
    if [one.status for one in wanted.interim] != [int(head.split()[1]) for head in got.interim]:
        found["interim"] = f"{wanted.interim} became {got.interim}"
    if wanted.framing != "none":
        _body(exchange, got, found)
    return found


def _headers(exchange: Exchange, got: WireResponse, found: dict[str, str]) -> None:
    wanted_names = [name for name, _ in exchange.response.headers]
    got_names = [name for name, _ in got.headers]
    if wanted_names != got_names:
        found["header"] = f"{wanted_names} became {got_names}"
        return
    for (name, wanted), (_, value) in zip(exchange.response.headers, got.headers, strict=True):
        key = name.lower()
        if key in _FOLLOWS_FROM_BODY:
            continue
        same = _shape(name, wanted) == _shape(name, value) if key in _BY_SHAPE else wanted == value
        if not same:
            found["header"] = f"{name}: {wanted} became {value}"


def _shape(name: str, value: str) -> str:
    if name.lower() == "set-cookie":
        cookie, _, attributes = value.partition(";")
        # The clock of the recording ran differently for PHP's own session cookie.
        kept = [one.partition("=")[0].strip() for one in attributes.split(";")]
        return cookie.split("=")[0].split("-")[0] + ";".join(kept)
    if name.lower() == "content-sha1":
        return f"{len(value)} digits"
    if name.lower() == "execution-time":
        return str(re.fullmatch(r"\d+(\.\d{1,3})?", value) is not None)
    return re.sub(r"[0-9a-f]+", "0", re.sub(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d+ \w{3}", "", value))


def _body(exchange: Exchange, got: WireResponse, found: dict[str, str]) -> None:
    wanted = exchange.response.body
    kind = (exchange.response.header("Content-Type") or "").partition(";")[0]
    if wanted is None:
        _beginning(exchange, got, found)
    elif wanted == got.body:
        pass
    elif not wanted or not got.body:
        found["body"] = f"{len(wanted)} bytes became {len(got.body)}: {got.body[:200]!r}"
    elif kind.startswith("image/"):
        if wanted[:3] != got.body[:3]:
            found["body"] = "another kind of picture"
    elif exchange.response.header("Content-Encoding"):
        if wanted[:2] != got.body[:2]:
            found["body"] = "another content coding"
    elif kind == "text/xml" and exchange.response.status != 206:
        _xml(exchange, wanted, got.body, found)
    elif kind == "application/json":
        _json(exchange, wanted, got.body, found)
    else:
        found["body"] = f"{wanted[:300]!r} became {got.body[:300]!r}"


def _beginning(exchange: Exchange, got: WireResponse, found: dict[str, str]) -> None:
    """Of a long body the beginning and the length are known; of pictures and gzip only the first bytes count."""
    kept = exchange.response.kept_body
    if not kept.startswith((b"<", b"{")):
        if kept[:2] != got.body[:2]:
            found["body"] = "another kind of content"
        return
    wanted, beginning = _TIME.sub(b"", kept), _TIME.sub(b"", got.body[: len(kept)])
    if wanted != beginning:
        found["body"] = f"another beginning: {wanted[:200]!r} became {beginning[:200]!r}"
    elif not 0 <= exchange.response.body_length - len(got.body) <= _LOST_LINE_ENDS:
        found["body"] = f"{exchange.response.body_length} became {len(got.body)} bytes"


def _xml(exchange: Exchange, wanted: bytes, body: bytes, found: dict[str, str]) -> None:
    if b"<errors>" in wanted:
        _errors(_xml_errors(wanted), _xml_errors(body), found)
        return
    try:
        expected, actual = ET.fromstring(wanted), ET.fromstring(body)
    except ET.ParseError as error:
        found["body"] = f"no XML: {error}"
        return
    _sort_lists(exchange, expected)
    _sort_lists(exchange, actual)
    if (difference := _element(expected, actual, "")) is not None:
        found["body"] = difference


def _xml_errors(body: bytes) -> list[tuple[int, str]]:
    """Code and text of each error, by pattern: an echoed request need not be XML."""
    found = re.findall(
        rb"<code><!\[CDATA\[(\d+)\]\]></code>\n<message><!\[CDATA\[(.*?)\]\]></message>", body, re.DOTALL
    )
    return [(int(code), text.decode("utf-8", errors="replace")) for code, text in found]


def _errors(wanted: list[tuple[int, str]], got: list[tuple[int, str]], found: dict[str, str]) -> None:
    if wanted and 28 <= wanted[0][0] <= 39:
        # What PHP warns of after these codes is nobody's interface.
        wanted, got = wanted[:1], got[:1]
    codes, got_codes = _without_runs([code for code, _ in wanted]), _without_runs([code for code, _ in got])
    if codes != got_codes:
        found["codes"] = f"{codes} became {got_codes}"
        return
    texts = [text for code, text in wanted if code != 3]
    got_texts = [text for code, text in got if code != 3]
    if texts != got_texts:
        found["body"] = f"{texts} became {got_texts}"


def _without_runs(codes: list[int]) -> list[int]:
    return [code for index, code in enumerate(codes) if code != 3 or index == 0 or codes[index - 1] != 3]


def _sort_lists(exchange: Exchange, root: ET.Element) -> None:
    """Put lists in the order of their ids, unless the request asked for an order."""
    if "sort=" in exchange.request.target or "sort%" in exchange.request.target:
        return
    for container in root:
        if len(container) > 1 and all(child.tag == container[0].tag for child in container):
            container[:] = sorted(container, key=lambda child: child.get("id") or child.findtext("id") or "")


def _element(wanted: ET.Element, got: ET.Element, path: str) -> str | None:
    here = f"{path}/{wanted.tag}"
    if wanted.tag != got.tag:
        return f"{here} became {got.tag}"
    if wanted.attrib != got.attrib:
        return f"{here}: {wanted.attrib} became {got.attrib}"
    if not _same_text(wanted.tag, (wanted.text or "").strip(), (got.text or "").strip()):
        return f"{here}: {wanted.text!r} became {got.text!r}"
    if [child.tag for child in wanted] != [child.tag for child in got]:
        return f"{here}: {[child.tag for child in wanted]} became {[child.tag for child in got]}"
    for one, other in zip(wanted, got, strict=True):
        if (difference := _element(one, other, here)) is not None:
            return difference
    return None


def _same_text(name: str, wanted: str, got: str) -> bool:
    # The catalogue was read from XML, where line ends are always one character.
    if wanted.replace("\r\n", "\n") == got.replace("\r\n", "\n"):
        return True
    if name in _SECRETS:
        return bool(wanted) == bool(got)
    return name in _TIMES and re.sub(r"\d", "0", wanted) == re.sub(r"\d", "0", got)


def _json(exchange: Exchange, wanted: bytes, body: bytes, found: dict[str, str]) -> None:
    try:
        expected, actual = json.loads(wanted), json.loads(body)
    except ValueError as error:
        found["body"] = f"no JSON: {error}"
        return
    if isinstance(expected, dict) and "errors" in expected:
        pairs = [[(one["code"], one["message"]) for one in side.get("errors", [])] for side in (expected, actual)]
        _errors(pairs[0], pairs[1], found)
    elif (difference := _value(expected, actual, "")) is not None:
        found["body"] = difference


def _value(wanted: Any, got: Any, path: str) -> str | None:
    if isinstance(wanted, dict) and isinstance(got, dict):
        if list(wanted) != list(got):
            return f"{path}: {list(wanted)} became {list(got)}"
        for key, value in wanted.items():
            if (difference := _value(value, got[key], f"{path}/{key}")) is not None:
                return difference
        return None
    if isinstance(wanted, list) and isinstance(got, list):
        if len(wanted) != len(got):
            return f"{path}: {len(wanted)} became {len(got)} items"
        for index, (one, other) in enumerate(zip(wanted, got, strict=True)):
            if (difference := _value(one, other, f"{path}/{index}")) is not None:
                return difference
        return None
    if isinstance(wanted, str) and isinstance(got, str):
        return None if _same_text(path.rpartition("/")[2], wanted, got) else f"{path}: {wanted!r} became {got!r}"
    return None if wanted == got and type(wanted) is type(got) else f"{path}: {wanted!r} became {got!r}"
