"""The cookie that PrestaShop sets on answers without output. Pure but for randomness."""

from __future__ import annotations

import hashlib
import secrets
from email.utils import formatdate

_LIFETIME_S = 20 * 24 * 3600
_VALUE_BYTES = 204


def session_cookie(now: float, shop: str = "front") -> tuple[str, str]:
    """A Set-Cookie field with a new session; ``shop`` tells front and back office apart."""
    name = hashlib.md5(shop.encode(), usedforsecurity=False).hexdigest()
    value = "def50200" + secrets.token_hex(_VALUE_BYTES)
    expires = formatdate(now + _LIFETIME_S, usegmt=True)
    text = f"PrestaShop-{name}={value}; expires={expires}; Max-Age={_LIFETIME_S}; path=/; HttpOnly; SameSite=Lax"
    return ("Set-Cookie", text)


def php_session(now: float) -> tuple[str, str]:
    """PHP's own session cookie, which the shop's pages set."""
    expires = formatdate(now + _LIFETIME_S, usegmt=True)
    text = f"PHPSESSID={secrets.token_hex(16)}; expires={expires}; Max-Age={_LIFETIME_S}; path=/"
    return ("Set-Cookie", f"{text}; HttpOnly; SameSite=Lax")
