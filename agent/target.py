"""Request targets on their way from the gateway to a store. Pure: standard library and the error tree only."""

from __future__ import annotations

import re
from typing import Final

from agent.errors import MessageError
from agent.php_query import has_parameter
from agent.store_url import Store

_ABSOLUTE: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://[^/?#]*+")
_SEGMENT_END: Final = re.compile(rb"[/?]")
_DOUBLE_SLASH: Final = re.compile(rb"//api(?=[/?&]|\Z)")
_SHOP_IN_PATH: Final = re.compile(rb"(/api[A-Za-z0-9_/-]*+)&(id_(?:group_)?shop=[0-9]+(?:&id_(?:group_)?shop=[0-9]+)*)")


def gateway_target(raw_target: bytes) -> tuple[bytes, bytes]:
    """Split a target sent to the gateway into the connection's slug and what is meant for the store.

    Two spellings of PrestaShop's own PHP library are put right: one leading double slash before ``api`` is folded, and
    ``/api/products&id_shop=2`` becomes ``/api/products?id_shop=2``. All other bytes stay as they came, and nothing is
    judged: the rest is empty or begins with ``/`` or ``?``. The absolute-form (RFC 9112 3.2.2) loses scheme and
    authority. Raises MessageError (bad_request) for the asterisk-form, the authority-form and an empty path.
    """
    if not raw_target.startswith(b"/"):
        absolute = _ABSOLUTE.match(raw_target)
        raw_target = raw_target[absolute.end() :] if absolute else b""
        if not raw_target.startswith(b"/"):
            raise MessageError("The request target has no path.")
    end = _SEGMENT_END.search(raw_target, 1)
    if end is None:
        return raw_target[1:], b""
    slug, rest = raw_target[1 : end.start()], raw_target[end.start() :]
    if rest.startswith(b"//") and _DOUBLE_SLASH.match(rest):
        rest = rest[1:]
    return slug, _shop_into_query(rest)


def store_target(store: Store, rest: bytes) -> bytes:
    """The origin-form target at the store for a ``rest`` of ``gateway_target``.

    ``id_shop`` is appended where the store is one shop of a multistore and the caller did not name one. The outcome is
    not judged: it may be anything, and ``policy.judge`` must see it before it is sent.
    """
    target = store.shop_path.encode() + rest.removeprefix(b"/")
    if not store.id_shop:
        return target
    path, mark, query = target.partition(b"?")
    if mark and has_parameter(query, b"id_shop"):
        return target
    joint = b"&" if query and not query.endswith(b"&") else b""
    return path + b"?" + query + joint + b"id_shop=" + store.id_shop.encode()


def _shop_into_query(rest: bytes) -> bytes:
    if b"&" not in rest:
        return rest
    path, mark, query = rest.partition(b"?")
    match = _SHOP_IN_PATH.fullmatch(path)
    if match is None:
        return rest
    return match[1] + b"?" + match[2] + (b"&" + query if mark and query else b"")
