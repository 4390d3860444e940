"""What may be said of a request target in logs: the path and the names of the parameters, never a value. Pure."""

from __future__ import annotations

import re
from typing import Final

_LOGGED_MAX_CHARS: Final = 300
_NAME_MAX_BYTES: Final = 40

_ADDRESS: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*+://[^/?]*+")
# Where a web server's rewrite rule, or a store, may see parameters begin in a path: `/api/products%26ws_key=...`.
_PARAMETERS_IN_PATH: Final = re.compile(rb"(?i)[&;=]|%(?:26|3b|3d|3f)")


def loggable_target(target: bytes) -> str:
    """``http://key@gateway/shop/api/products?display=full&ws_key=K`` -> ``/shop/api/products?display&ws_key``.

    Values are personal data (``filter[email]=...``) or secrets (``ws_key``); so may be what stands before the host,
    what has no ``=``, and what follows a disguised separator in the path. Bytes outside printable ASCII are escaped,
    and the text is cut at 300 characters.
    """
    path, mark, query = _ADDRESS.sub(b"", target, count=1).partition(b"?")
    hidden = _PARAMETERS_IN_PATH.search(path)
    text = path if hidden is None else path[: hidden.start()] + b"..."
    if mark:
        text += b"?" + b"&".join(_name_of(piece) for piece in query.split(b"&") if piece)
    shown = text.decode("ascii", "backslashreplace")
    shown = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in shown)
    return shown if len(shown) <= _LOGGED_MAX_CHARS else shown[:_LOGGED_MAX_CHARS] + "..."


def _name_of(piece: bytes) -> bytes:
    name, equals, _ = piece.partition(b"=")
    return name if equals and 0 < len(name) <= _NAME_MAX_BYTES else b"..."
