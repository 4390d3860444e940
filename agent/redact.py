"""What may be said of a request target in logs: the path and the names of the parameters, never a value. Pure."""

from __future__ import annotations

import re
from typing import Final

_LOGGED_MAX_CHARS: Final = 300
_NAME_MAX_BYTES: Final = 40

_SCHEME_BYTES: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+.-"
_LETTER: Final = re.compile(rb"[A-Za-z]")
_AUTHORITY: Final = re.compile(rb"[^/?]*+")
# Where a web server's rewrite rule, or a store, may see parameters begin in a path: `/api/products%26ws_key=...`.
_PARAMETERS_IN_PATH: Final = re.compile(rb"(?i)[&;=]|%(?:26|3b|3d|3f)")


# What nearly all targets look like; what is said of them is the same as below, at a fifth of the cost.
_USUAL: Final = re.compile(
    rb"(?:https?://[a-z0-9.-]++(?::[0-9]++)?)?((?:/[A-Za-z0-9._-]*+)+)(?:(\?)((?:[A-Za-z0-9._\[\]-]{1,40}=[!-%'-9;-~]*+(?:&(?=[^&])|\Z))*))?"
)
_VALUE: Final = re.compile(rb"=[^&]*+")


def loggable_target(target: bytes) -> str:
    """``http://key@gateway/shop/api/products?display=full&ws_key=K`` -> ``/shop/api/products?display&ws_key``.

    Values are personal data (``filter[email]=...``) or secrets (``ws_key``); so may be what stands before the host,
    what has no ``=``, and what follows a disguised separator in the path. Bytes outside printable ASCII are escaped,
    and the text is cut at 300 characters.
    """
    usual = _USUAL.fullmatch(target)
    if usual is not None and len(target) <= _LOGGED_MAX_CHARS:
        path, mark, query = usual.groups()
        return (path + b"?" + _VALUE.sub(b"", query) if mark else path).decode("ascii")
    path, mark, query = _without_address(target).partition(b"?")
    hidden = _PARAMETERS_IN_PATH.search(path)
    text = path if hidden is None else path[: hidden.start()] + b"..."
    if mark:
        text += b"?" + b"&".join(_name_of(piece) for piece in query.split(b"&") if piece)
    shown = text.decode("ascii", "backslashreplace")
    shown = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in shown)
    return shown if len(shown) <= _LOGGED_MAX_CHARS else shown[:_LOGGED_MAX_CHARS] + "..."


def _without_address(target: bytes) -> bytes:
    """Without the first ``scheme://user:password@host:port``; in linear time, since a stranger chooses the target."""
    before, at = 0, target.find(b"://")
    while at >= 0:
        scheme = before + len(target[before:at].rstrip(_SCHEME_BYTES))
        if letter := _LETTER.search(target, scheme, at):
            end = _AUTHORITY.match(target, at + 3)
            return target[: letter.start()] + (target[end.end() :] if end else b"")
        before = at + 3
        at = target.find(b"://", before)
    return target


def _name_of(piece: bytes) -> bytes:
    name, equals, _ = piece.partition(b"=")
    return name if equals and 0 < len(name) <= _NAME_MAX_BYTES else b"..."
