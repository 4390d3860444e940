"""The client key of a request, looked for where PrestaShop looks for its own, in the same order. Pure."""

from __future__ import annotations

import base64
import binascii

from agent.http1 import Field
from agent.php_query import php_value

KEY_MAX_BYTES = 256


def key_in_fields(fields: list[Field]) -> tuple[bool, bytes | None]:
    """Is there a credential in them, and the key: Basic user name (the password is ignored), else ``Bearer``.

    As at PrestaShop a Basic credential beats ``ws_key`` even when it is wrong, and one without a colon is none at
    all. Two Authorization fields are a contradiction, and so no credential.
    """
    values = [value for name, value in fields if len(name) == 13 and name.lower() == b"authorization"]
    if len(values) > 1:
        return True, None
    if values:
        scheme, _, rest = values[0].partition(b" ")
        kind = scheme.lower()
        if kind == b"basic":
            return True, _basic_user(rest.strip(b" "))
        if kind == b"bearer":
            return True, rest.strip(b" ")[:KEY_MAX_BYTES] or None
    return False, None


def key_in_query(target: bytes) -> bytes | None:
    """The ``ws_key`` of a target; None when there is none."""
    query = target.partition(b"?")[2]
    key = php_value(query, b"ws_key")
    return key[:KEY_MAX_BYTES] if key else None


def _basic_user(encoded: bytes) -> bytes | None:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, _ = decoded.partition(b":")
    return user[:KEY_MAX_BYTES] if colon and user else None
