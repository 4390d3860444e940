"""Sealing of API keys at rest: AES-256-GCM envelopes bound to their row. Pure: no files, no environment.

Envelope, as bytes: version (1), key id (4, big endian), nonce (12, random), ciphertext with its 16-byte tag.
The additional data is the head of the envelope, then table, record UUID and column, each ended by NUL: an
envelope copied into another row, column or table does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent.errors import AgentError, SettingsError

VERSION: Final = 1
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
HEAD_BYTES: Final = 1 + 4 + NONCE_BYTES
KEY_ID_MAX: Final = 0xFFFF_FFFF


class EnvelopeError(AgentError):
    """An envelope does not open: altered, of another row, or sealed with a key that is not in the ring."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an envelope belongs; part of what is authenticated."""

    table: str
    record_id: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column} of {self.record_id}"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that open envelopes, by id; ``current`` seals new ones. ``repr`` shows ids only."""

    keys: Mapping[int, bytes] = field(repr=False)
    current: int

    @classmethod
    def generate(cls) -> Self:
        """A ring with one new key, id 1."""
        return cls({1: AESGCM.generate_key(bit_length=256)}, 1)

    @classmethod
    def parse(cls, text: str, source: str) -> Self:
        """Read ``id:base64`` entries, one per line or separated by commas; the last one seals.

        Raises SettingsError, without any key material in it, when an entry cannot be read.
        """
        keys: dict[int, bytes] = {}
        current = 0
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        entries = [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]
        for number, entry in enumerate(entries, start=1):
            name, _, encoded = entry.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                key = b""
            key_id = int(name) if name.isascii() and name.isdigit() else 0
            if not 0 < key_id <= KEY_ID_MAX or len(key) != KEY_BYTES:
                raise SettingsError(
                    f"Entry {number} of the key ring in {source} is not a number, a colon and {KEY_BYTES} "
                    "bytes in base64; restore the key ring from its back-up copy."
                )
            current = key_id
            if current in keys:
                raise SettingsError(f"The key ring in {source} holds key id {current} twice; remove the wrong line.")
            keys[current] = key
        if not keys:
            raise SettingsError(f"The key ring in {source} holds no key; restore it from its back-up copy.")
        return cls(keys, current)

    def dump(self) -> str:
        """The text that `parse` reads; the current key stands last."""
        ids = [key_id for key_id in self.keys if key_id != self.current] + [self.current]
        return "".join(f"{key_id}:{base64.b64encode(self.keys[key_id]).decode()}\n" for key_id in ids)

    def with_new_key(self) -> Self:
        """The ring with one more key, which seals from then on."""
        key_id = max(self.keys) + 1
        return type(self)({**self.keys, key_id: AESGCM.generate_key(bit_length=256)}, key_id)

    def only(self, ids: Container[int]) -> Self:
        """The ring with the current key, and of the others only these."""
        kept = {key_id: key for key_id, key in self.keys.items() if key_id == self.current or key_id in ids}
        return type(self)(kept, self.current)


def key_id_of(envelope: bytes) -> int:
    """Which key sealed it. Raises EnvelopeError for what is no envelope."""
    if len(envelope) < HEAD_BYTES + TAG_BYTES or envelope[0] != VERSION:
        raise EnvelopeError(f"This is not an envelope of version {VERSION}.")
    return int.from_bytes(envelope[1:5], "big")


class Vault:
    """Seals and opens secrets with the keys of one ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._current = ring.current
        self._ciphers = {key_id: AESGCM(key) for key_id, key in ring.keys.items()}

    def seal(self, secret: str, place: Place) -> bytes:
        """The envelope of ``secret`` for exactly this place."""
        nonce = os.urandom(NONCE_BYTES)
        head = bytes([VERSION]) + self._current.to_bytes(4, "big") + nonce
        return head + self._ciphers[self._current].encrypt(nonce, secret.encode(), _bound_to(head, place))

    def open(self, envelope: bytes, place: Place) -> str:
        """The secret sealed in ``envelope``.

        Raises EnvelopeError, which never carries any of the bytes, when the version or the key is unknown, or
        when the envelope was altered or belongs to another place.
        """
        if len(envelope) < HEAD_BYTES + TAG_BYTES or envelope[0] != VERSION:
            raise EnvelopeError(f"{place} is not an envelope of version {VERSION}; enter the API key again.")
        head = envelope[:HEAD_BYTES]
        key_id = int.from_bytes(head[1:5], "big")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise EnvelopeError(
                f"{place} is sealed with key {key_id}, which the key ring does not hold; "
                "restore the key ring from its back-up copy, or enter the API key again."
            )
        try:
            return cipher.decrypt(head[5:], envelope[HEAD_BYTES:], _bound_to(head, place)).decode()
        except InvalidTag:
            raise EnvelopeError(
                f"{place} does not open with key {key_id}: it was altered, or comes from another record; "
                "restore the database from its back-up copy, or enter the API key again."
            ) from None


def _bound_to(head: bytes, place: Place) -> bytes:
    names = (place.table, place.record_id, place.column)
    if any("\0" in name for name in names):
        raise ValueError("a place cannot contain NUL")
    return head + b"".join(name.encode() + b"\0" for name in names)
