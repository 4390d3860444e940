"""Counts every (key, nonce) pair that anybody in this process seals with: none may ever come twice (RFC 5116 3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncssh.crypto.cipher
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import agent.tunnel.packet_seal
from agent.tunnel import fastpath_check


class Nonces:
    """Counts every (key, nonce) pair that anybody in this process seals with."""

    def __init__(self) -> None:
        self.seen: set[tuple[bytes, bytes]] = set()
        self.twice = 0

    def cipher(self, key: bytes) -> Any:
        """In place of the class AESGCM."""
        real, nonces = AESGCM(key), self

        class Counting:
            def encrypt(self, nonce: bytes, data: bytes, header: bytes) -> bytes:
                pair = (key, bytes(nonce))
                nonces.twice += pair in nonces.seen
                nonces.seen.add(pair)
                return real.encrypt(nonce, data, header)

            def decrypt(self, nonce: bytes, data: bytes, header: bytes) -> bytes:
                return real.decrypt(nonce, data, header)

        return Counting()


@contextmanager
def counted_nonces() -> Iterator[Nonces]:
    """Both asyncssh and the fast path seal with a counting class."""
    fastpath_check.why_not()  # its self-check seals one packet in two ways, on purpose, under a key of its own
    counted = Nonces()
    with pytest.MonkeyPatch.context() as patch:
        for module in (agent.tunnel.packet_seal, asyncssh.crypto.cipher):
            patch.setattr(module, "AESGCM", counted.cipher)
        yield counted
