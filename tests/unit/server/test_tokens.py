"""Client keys have the shape that PrestaShop clients check for."""

from __future__ import annotations

import hashlib
import re

from agent.server.tokens import digest, mint_client_key


def test_client_keys_look_like_webservice_keys_and_differ() -> None:
    keys = {mint_client_key() for _ in range(500)}
    assert len(keys) == 500
    assert all(re.fullmatch(r"[A-Z0-9]{32}", key) for key in keys)
    # Every letter and digit is used: a generator that lost some would have fewer bits than it says.
    assert len(set("".join(keys))) == 36


def test_what_is_kept_is_the_sha256() -> None:
    assert digest("abc") == hashlib.sha256(b"abc").digest()
