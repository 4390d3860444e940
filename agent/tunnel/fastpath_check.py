"""Whether there may be a fast path: the version of asyncssh, its packets compared with ours, and the connection."""

from __future__ import annotations

import functools
import os
from typing import Final

import asyncssh
from asyncssh.connection import SSHConnection
from asyncssh.encryption import GCMEncryption, get_encryption

from agent.tunnel.packet_seal import LENGTH_BYTES, PacketSeal

VERIFIED_VERSIONS: Final = frozenset({"2.24.1"})
"""Versions of asyncssh whose insides were read and tested; with another one everything goes asyncssh's own way."""

_NEEDED: Final = (
    "_kex_complete _auth_complete _auth_final _compressor _decompressor _send_encryption _recv_encryption _rekey_bytes "
    "_rekey_bytes_sent _rekey_seconds _rekey_time _send_seq _recv_seq _transport _loop _inpbuf _recv_handler "
    "_recv_pkthdr _recv_data _send _max_recv_pktlen _channels _update_recv_pktlen _client_kexinit _server_kexinit"
).split()
_CIPHERS: Final = ((b"aes128-gcm@openssh.com", 16), (b"aes256-gcm@openssh.com", 32))


def obstacle(conn: SSHConnection) -> str:
    """Why ``conn`` cannot have a fast path, as half a sentence; "" when it can."""
    reason = why_not()
    if reason:
        return reason
    if not all(hasattr(conn, name) for name in _NEEDED):
        return "asyncssh's connection is not built as expected"
    ciphers = (conn._send_encryption, conn._recv_encryption)  # noqa: SLF001 - asyncssh shows only their names
    if not all(isinstance(each, GCMEncryption) for each in ciphers):
        return f"the cipher is {conn.get_extra_info('send_cipher')}, not AES-GCM"
    if conn._compressor is not None or conn._decompressor is not None:  # noqa: SLF001 - as above
        return "the other end compresses"
    return ""


@functools.cache
def why_not() -> str:
    """Why this process cannot have a fast path; "" when it can. Looked at once."""
    if asyncssh.__version__ not in VERIFIED_VERSIONS:
        return f"asyncssh {asyncssh.__version__} was not verified with it, but {', '.join(sorted(VERIFIED_VERSIONS))}"
    try:
        return "" if all(_agrees(*each) for each in _CIPHERS) else "its packets differ from those of asyncssh"
    except Exception as error:  # noqa: BLE001 - whatever a changed library raises, there is another way
        return f"its self-check failed ({type(error).__name__})"


def _agrees(cipher: bytes, key_bytes: int) -> bool:
    """Do asyncssh's packets and ours come out the same, bit for bit, and open each other's, counters included?"""
    key, iv = os.urandom(key_bytes), os.urandom(4) + b"\xff" * 8  # the counter wraps at once
    theirs, ours, opening = (get_encryption(cipher, key, iv) for _ in range(3))
    if not isinstance(ours, GCMEncryption) or not isinstance(opening, GCMEncryption):
        return False
    seal, opened = PacketSeal(ours), PacketSeal(opening)
    for number in range(3):
        packet, header = os.urandom(32), (32).to_bytes(LENGTH_BYTES, "big")
        stock = b"".join(theirs.encrypt_packet(number, header, packet))
        if stock != header + seal.seal(header, packet) or opened.peek(header, stock[LENGTH_BYTES:]) != packet:
            return False
        opened.taken()
    return True
