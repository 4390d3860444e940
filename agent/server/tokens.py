"""Minting of secrets and what is kept of them. Pure but for the operating system's randomness."""

from __future__ import annotations

import hashlib
import secrets
import string
from typing import Final

CLIENT_KEY_LENGTH: Final = 32  # the length of a PrestaShop webservice key, which client libraries check for
CLIENT_KEY_ALPHABET: Final = string.ascii_uppercase + string.digits  # 36^32 = 165 bits


def mint_client_key() -> str:
    """A new client key: 32 characters A-Z0-9, so that it passes wherever a webservice key is asked for."""
    return "".join(secrets.choice(CLIENT_KEY_ALPHABET) for _ in range(CLIENT_KEY_LENGTH))


def digest(secret: str) -> bytes:
    """What is kept of a minted secret: its SHA-256 (32 bytes).

    A slow password hash would add nothing, since 165 random bits cannot be guessed, and cost the gateway
    milliseconds on every exchange.
    """
    return hashlib.sha256(secret.encode()).digest()
