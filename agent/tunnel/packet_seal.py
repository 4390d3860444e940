"""AES-GCM packets of SSH (RFC 5647), and the one owner of each key's invocation counter.

asyncssh makes a cipher object for each packet and keeps the counter in bytes. Here one object holds the cipher ready
and the counter as a number; it takes the place of asyncssh's own, so that whoever seals the next packet, asyncssh or
the fast path, counts with it: no nonce can be used twice under a key (RFC 5116 3.1).
"""

from __future__ import annotations

from typing import Final

from asyncssh.encryption import GCMEncryption
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LENGTH_BYTES: Final = 4
"""The length of a packet travels in the clear and is authenticated (RFC 5647 7.3)."""

TAG_BYTES: Final = 16
BLOCK_BYTES: Final = 16

KEPT_AFTER: Final = 16
"""Packets: a login and a hello are fewer."""

_COUNTER_MASK: Final = (1 << 64) - 1  # RFC 5647 7.1: four fixed bytes, then a 64-bit counter


class PacketSeal(GCMEncryption):
    """Seals or opens the packets of one direction under one key.

    ``invocation`` is the counter of the next packet. Made from asyncssh's object, which must not be used any more.
    """

    def __init__(self, replaced: GCMEncryption) -> None:
        cipher = replaced._cipher
        super().__init__(cipher)
        self._aead: AESGCM | None = None
        self._uses = 0
        self._fixed = bytes(cipher._iv[:4])
        self.invocation = int.from_bytes(cipher._iv[4:], "big")

    def __repr__(self) -> str:
        return f"<PacketSeal invocation={self.invocation}>"

    def seal(self, header: bytes, packet: bytes) -> bytes:
        """``packet`` sealed, its tag behind it; counts."""
        nonce = self._fixed + self.invocation.to_bytes(8, "big")
        self.invocation = (self.invocation + 1) & _COUNTER_MASK
        return (self._aead or self._make()).encrypt(nonce, packet, header)

    def peek(self, header: bytes, sealed: bytes | memoryview) -> bytes | None:
        """What the packet behind ``header`` holds, None when it is not genuine. Does not count: see ``taken``.

        Opening one packet twice is harmless, sealing two with one nonce would not be.
        """
        try:
            aead = self._aead or self._make()
            return aead.decrypt(self._fixed + self.invocation.to_bytes(8, "big"), sealed, header)
        except InvalidTag:
            return None

    def taken(self) -> None:
        """The packet that was looked at is done with."""
        self.invocation = (self.invocation + 1) & _COUNTER_MASK

    def rest(self) -> None:
        """Let go of the cipher; after some packets it is kept again."""
        self._aead = None
        self._uses = 0

    def _make(self) -> AESGCM:
        """A cipher takes 2 us to make and 2.5 kB to keep: too much for a tunnel that only shows that it lives."""
        aead = AESGCM(self._cipher._key)
        self._uses += 1
        if self._uses > KEPT_AFTER:
            self._aead = aead
        return aead

    # -- what asyncssh asks for --------------------------------------------------------------------------------------

    def encrypt_packet(self, seq: int, header: bytes, packet: bytes) -> tuple[bytes, bytes]:  # noqa: ARG002 - asyncssh's signature
        """The packet as it travels, in two parts."""
        return header, self.seal(header, packet)

    def decrypt_packet(self, seq: int, first: bytes, rest: bytes, header_len: int, mac: bytes) -> bytes | None:  # noqa: ARG002 - asyncssh's signature
        """What the packet holds; None when it is not genuine."""
        found = self.peek(first[:header_len], first[header_len:] + rest + mac)
        self.taken()
        return found
