"""Ciphers and key exchanges of both ends, best first, and what else both say to asyncssh alike."""

from __future__ import annotations

from typing import Final

from asyncssh.kex import get_kex_algs

SUBSYSTEM: Final = "agent-control"
LISTEN_HOST: Final = "store"
LISTEN_PORT: Final = 80

ENCRYPTION_ALGS: Final = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")
"""AES-GCM first: chacha20-poly1305, asyncssh's default, is about twice as slow here."""

_KEX_WANTED: Final = (
    "mlkem768x25519-sha256",  # +0.3 ms of CPU against recording now and decrypting later: API keys travel inside
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
)
_KEX_PRESENT: Final = frozenset(name.decode("ascii") for name in get_kex_algs())
KEX_ALGS: Final = tuple(name for name in _KEX_WANTED if name in _KEX_PRESENT)
"""Filtered by what this machine's crypto libraries have: asyncssh raises ValueError for an unknown name."""

HOST_KEY_ALGS: Final = ("ssh-ed25519",)

REKEY_BYTES: Final = 16 << 30
"""A re-key stalls what runs by two round trips; AES-GCM allows far more than asyncssh's 1 GiB."""

CHANNEL_WINDOW_BYTES: Final = 2 << 20
"""Window that we announce per channel at first: bounds what a paused channel can hold in memory (see ``window``)."""

CHANNEL_PACKET_BYTES: Final = 128 * 1024
"""Data in a packet that we take, four times asyncssh's 32 KiB: less work per byte; 64 KiB and a head are one packet.

Larger ones cost as much as they save, for they do not fit into a processor's cache; and a line of 10 kbit/s needs 105 s
for this much, which is less than the limits for silence are.
"""

CONTROL_WINDOW_BYTES: Final = 64 * 1024
CONTROL_PACKET_BYTES: Final = 16 * 1024

PACKET_MIN_BYTES: Final = 1024
"""Data in a packet that the other end must take, at least: with one byte each, a read of a store would be 100,000."""
