"""The trace that a request belongs to, as W3C Trace Context says it. Pure: no I/O, no logging.

Neither gateway nor agent reports spans: where a client gives no trace none is made up, since nobody would have its
parent. What is malformed is dropped, and ``tracestate`` with it (Trace Context 4.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

TRACE_FIELDS: Final[frozenset[bytes]] = frozenset((b"traceparent", b"tracestate"))

_TRACEPARENT: Final = re.compile(
    # version, trace id, parent id, flags; only a version after 00 may append to it (Trace Context 3.2, 4.3)
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]*)?"
)
_VALUE_MAX: Final = 512


def trace_id(fields: Iterable[tuple[bytes, bytes]]) -> str:
    """The 32 hexadecimal digits of the trace; "" where none is given, where it is malformed, or where there are two."""
    found = None
    for name, value in fields:
        if len(name) == 11 and name.lower() == b"traceparent":
            if found is not None:
                return ""
            found = value
    return "" if found is None else _read(found)


def _read(value: bytes) -> str:
    if len(value) > _VALUE_MAX:
        return ""
    match = _TRACEPARENT.fullmatch(value)
    if match is None or (value.startswith(b"00") and len(value) != 55):
        return ""
    return match[1].decode("ascii")
