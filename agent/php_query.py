"""Query strings as PHP reads them: names, values, removal of a parameter. Pure: standard library only.

PrestaShop obeys ``ps_method``, ``url`` and ``id_shop`` in whatever spelling PHP turns into these names, so a policy
must read a query with PHP's eyes. The rules are those of ``php_default_treat_data`` and ``php_register_variable_ex``
(main/php_variables.c): percent signs and ``+`` are decoded, the name ends at a NUL, leading blanks are dropped, ``.``
and blank become ``_``, ``name[...]`` is an array called ``name``, an unmatched ``[`` becomes ``_``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

_MANGLED: Final = bytes.maketrans(b". [", b"___")
_SEPARATORS: Final = re.compile(rb"[&;]")


class Parameter(NamedTuple):
    """One parameter of a query: PHP's name for it (for ``a[b]`` that is ``a``), and the bytes as they came."""

    name: bytes
    is_array: bool
    raw_name: bytes
    raw_value: bytes


def php_urldecode(raw: bytes) -> bytes:
    """PHP's ``urldecode``: ``+`` is a blank, ``%`` with two hex digits a byte, any other ``%`` itself."""
    return unquote_to_bytes(raw.replace(b"+", b" "))


def php_parameter(piece: bytes) -> Parameter | None:
    """Read one ``name=value`` piece; None when PHP drops it (no name is left)."""
    raw_name, _, raw_value = piece.partition(b"=")
    decoded = php_urldecode(raw_name).partition(b"\0")[0].lstrip(b" ")
    head, bracket, rest = decoded.partition(b"[")
    name = head.translate(_MANGLED)
    if not name:
        return None
    is_array = b"]" in rest
    if bracket and not is_array:
        name += b"_" + rest.translate(_MANGLED)
    return Parameter(name, is_array, raw_name, raw_value)


def php_readings(query: bytes) -> Iterator[list[Parameter]]:
    """Every way a PHP may read this query: with ``&`` alone, and with ``;`` as a separator too.

    ``arg_separator.input`` is ``&`` by default, ``&;`` on hosts that followed an old recommendation; nothing tells
    from outside which one a store has.
    """
    yield _parameters(query.split(b"&"))
    if b";" in query:
        yield _parameters(_SEPARATORS.split(query))


def php_query_names(query: bytes) -> list[bytes]:
    """PHP's names of all parameters in order, arrays by their base name. For logs: names only, never values."""
    return [parameter.name for parameter in _parameters(query.split(b"&"))]


def php_value(query: bytes, name: bytes) -> bytes | None:
    """What ``$_GET[name]`` holds: the decoded value of the last parameter of that name; None if absent or an array."""
    value: bytes | None = None
    if not _may_name(query, name):
        return None
    for parameter in _parameters(query.split(b"&")):
        if parameter.name == name:
            value = None if parameter.is_array else php_urldecode(parameter.raw_value)
    return value


def has_parameter(query: bytes, name: bytes) -> bool:
    """True when any PHP would find a parameter of this name in the query, in whatever spelling."""
    readings = php_readings(query) if _may_name(query, name) else ()
    return any(parameter.name == name for reading in readings for parameter in reading)


def without_parameter(target: bytes, name: bytes) -> bytes:
    """``target`` without every spelling of the parameter ``name``; all other bytes stay as they are.

    The ``?`` goes too when nothing is left after it. Meant for ``ws_key``, the client key of a caller, which must not
    travel on to the store.
    """
    path, mark, query = target.partition(b"?")
    if not mark or not has_parameter(query, name):
        return target
    kept = [piece for piece in (_stripped(piece, name) for piece in query.split(b"&")) if piece is not None]
    return path + b"?" + b"&".join(kept) if kept else path


def _may_name(query: bytes, name: bytes) -> bool:
    """False for nearly all queries: PHP knows no other spelling of a letter than ``%`` and two digits."""
    return name.partition(b"_")[0] in query or b"%" in query


def _parameters(pieces: list[bytes]) -> list[Parameter]:
    return [parameter for piece in pieces if piece and (parameter := php_parameter(piece)) is not None]


def _stripped(piece: bytes, name: bytes) -> bytes | None:
    if _is_named(piece, name):
        return None
    if b";" not in piece:
        return piece
    kept = [part for part in piece.split(b";") if not _is_named(part, name)]
    return b";".join(kept) if kept else None


def _is_named(piece: bytes, name: bytes) -> bool:
    parameter = php_parameter(piece)
    return parameter is not None and parameter.name == name
