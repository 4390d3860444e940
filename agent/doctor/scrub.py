"""Takes out of any text what must not leave this machine. Pure: no I/O.

A belt: what is put into a support archive has no secrets to begin with, but log lines and error texts come from
everywhere.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

GONE: Final = "(redacted)"

SHORTEST_CHARS: Final = 6
"""A known secret that is shorter is not looked for: it would be found by chance everywhere."""

_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"psa[0-9]{1,4}_[A-Za-z0-9_-]+"), GONE),  # access tokens
    (re.compile(r"(?<![A-Za-z0-9])[A-Z0-9]{32}(?![A-Za-z0-9])"), GONE),  # API keys and client keys
    (re.compile(r"(?i)\b(basic|bearer) +[a-z0-9._~+/=-]{6,}"), rf"\1 {GONE}"),
    (
        re.compile(
            r"(?i)([\"']?\b[a-z0-9_-]*(?:secret|password|passphrase|token|ws_key|api_key|client_key|authorization|"
            r"cookie)[\"']?\s*[=:]\s*[\"']?)(?!\(|basic |bearer )[^\s\"'&,;}]{6,}"
        ),
        rf"\1{GONE}",
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/\"'@]*@"), r"\1"),  # a login in a URL
    (re.compile(r"(?i)\b(https?://[^\s\"'?<>]*)\?[^\s\"'<>]*"), r"\1?..."),  # parameters: personal data, tokens
)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without ``secrets`` (plain, percent-encoded, base64) and without what looks like one."""
    for secret in sorted({each for each in secrets if len(each) >= SHORTEST_CHARS}, key=len, reverse=True):
        coded = base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode().rstrip("=")
        for form in (secret, quote(secret, safe="", errors="replace"), coded):
            text = text.replace(form, GONE)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
