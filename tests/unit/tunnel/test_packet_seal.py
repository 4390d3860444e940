"""Packets sealed by asyncssh's object and by ours are the same bits, and each invocation of a key is used once."""

from __future__ import annotations

import os

import pytest
from asyncssh.encryption import GCMEncryption, get_encryption
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent.tunnel.packet_seal import KEPT_AFTER, PacketSeal

CIPHERS = [(b"aes128-gcm@openssh.com", 16), (b"aes256-gcm@openssh.com", 32)]


def stock(cipher: bytes, key: bytes, iv: bytes) -> GCMEncryption:
    found = get_encryption(cipher, key, iv)
    assert isinstance(found, GCMEncryption)
    return found


@pytest.mark.parametrize(("cipher", "key_bytes"), CIPHERS)
@pytest.mark.parametrize("counter", [0, 1, (1 << 64) - 2])
def test_it_seals_and_opens_what_asyncssh_does(cipher: bytes, key_bytes: int, counter: int) -> None:
    key, iv = os.urandom(key_bytes), os.urandom(4) + counter.to_bytes(8, "big")
    theirs, ours, opening = (
        stock(cipher, key, iv),
        PacketSeal(stock(cipher, key, iv)),
        PacketSeal(stock(cipher, key, iv)),
    )
    for number in range(4):  # beyond the end of the counter, where it wraps
        packet = os.urandom(16 * (number + 1))
        header = len(packet).to_bytes(4, "big")
        body, tag = theirs.encrypt_packet(number, header, packet)
        assert header + ours.seal(header, packet) == body + tag
        assert opening.peek(header, body[4:] + tag) == packet
        assert opening.peek(header, memoryview(body[4:] + tag)) == packet  # looking does not count
        opening.taken()
    assert ours.invocation == opening.invocation == (counter + 4) % (1 << 64)


def test_asyncssh_can_go_on_with_it_in_the_middle() -> None:
    key, iv = os.urandom(16), os.urandom(12)
    sealing, opening = PacketSeal(stock(CIPHERS[0][0], key, iv)), stock(CIPHERS[0][0], key, iv)
    for number in range(6):
        packet, header = os.urandom(32), (32).to_bytes(4, "big")
        wire = (
            header + sealing.seal(header, packet) if number % 2 else b"".join(sealing.encrypt_packet(0, header, packet))
        )
        assert opening.decrypt_packet(number, wire[:16], wire[16:-16], 4, wire[-16:]) == packet


def test_a_packet_that_is_not_genuine_is_not_opened() -> None:
    key, iv = os.urandom(16), os.urandom(12)
    header, packet = (32).to_bytes(4, "big"), os.urandom(32)
    wire = header + AESGCM(key).encrypt(iv, packet, header)
    seal = PacketSeal(stock(CIPHERS[0][0], key, iv))
    for place in (0, 4, len(wire) - 1):
        changed = bytearray(wire)
        changed[place] ^= 1
        assert seal.peek(bytes(changed[:4]), bytes(changed[4:])) is None
    assert seal.peek(header, wire[4:]) == packet
    assert seal.decrypt_packet(0, wire[:16], wire[16:-16], 4, b"\0" * 16) is None


def test_the_cipher_is_kept_from_some_packets_on_until_a_rest_and_counts_on() -> None:
    key, iv = os.urandom(16), os.urandom(12)
    theirs, ours, opening = stock(CIPHERS[0][0], key, iv), *(PacketSeal(stock(CIPHERS[0][0], key, iv)) for _ in "12")
    for number in range(3 * KEPT_AFTER):
        packet, header = os.urandom(32), (32).to_bytes(4, "big")
        wire = ours.seal(header, packet)
        assert header + wire == b"".join(theirs.encrypt_packet(number, header, packet))
        assert opening.peek(header, wire) == packet
        opening.taken()
        for seal in (ours, opening):
            assert (seal._aead is not None) is (number % (2 * KEPT_AFTER) >= KEPT_AFTER)
            if number == 2 * KEPT_AFTER - 1:
                seal.rest()
