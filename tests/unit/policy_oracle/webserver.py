"""A model of the web server in front of PrestaShop: from a raw target to the query that PHP is given.

Apache 2.4 with the rules that PrestaShop writes into .htaccess:
``^api(?:/(.*))?$ -> webservice/dispatcher.php?url=$1 [QSA]``. It is as generous as any of the servers seen: what one of
them refuses (an encoded slash, say) but another takes is taken here.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from agent.store_url import Store

_API = re.compile(rb"api(?:/(.*))?")  # without DOTALL, as in PCRE's default: a line feed ends the match


def rewritten_query(store: Store, target: bytes) -> bytes | None:
    """The query that webservice/dispatcher.php gets; None when the request goes anywhere else."""
    target = target.partition(b"#")[0]
    path, mark, query = target.partition(b"?")
    path = _resolved(unquote_to_bytes(path))
    base = store.base_path.encode()
    if not path.startswith(base):
        return None
    inside = path[len(base) :]
    virtual = store.virtual_uri.encode()
    if virtual:
        if not inside.startswith(virtual):
            return None
        inside = inside[len(virtual) :]
    match = _API.fullmatch(inside)
    if match is None:
        return None
    return b"url=" + (match[1] or b"") + (b"&" + query if mark and query else b"")


def _resolved(path: bytes) -> bytes:
    """Dot segments resolved, slashes merged, backslashes taken for slashes."""
    segments: list[bytes] = []
    parts = path.replace(b"\\", b"/").split(b"/")
    for part in parts:
        if part == b"..":
            segments = segments[:-1]
        elif part not in (b"", b"."):
            segments.append(part)
    tail = b"/" if parts[-1] in (b"", b".", b"..") and segments else b""
    return b"/" + b"/".join(segments) + tail
