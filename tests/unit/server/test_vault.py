"""Envelopes open only unaltered, with their key, in their place; key rings are read strictly."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import SettingsError
from agent.server.vault import HEAD_BYTES, TAG_BYTES, EnvelopeError, KeyRing, Place, Vault

PLACE = Place("connections", "8a6e0804-2bd0-4672-b79d-d97027f9071a", "api_key")
SECRET = "K" * 32


def ring(*ids: int) -> KeyRing:
    return KeyRing({number: bytes([number]) * 32 for number in ids}, ids[-1])


@given(st.text(max_size=100), st.text(alphabet="abcdef-0123456789", min_size=1))
def test_what_was_sealed_opens_in_its_place(secret: str, record_id: str) -> None:
    place = Place("connections", record_id, "api_key")
    vault = Vault(ring(1))
    assert vault.open(vault.seal(secret, place), place) == secret


def test_an_envelope_has_the_written_layout() -> None:
    envelope = Vault(ring(1, 7)).seal(SECRET, PLACE)
    assert envelope[0] == 1
    assert int.from_bytes(envelope[1:5], "big") == 7
    assert len(envelope) == HEAD_BYTES + len(SECRET) + TAG_BYTES == 65
    assert SECRET.encode() not in envelope


def test_nonces_do_not_repeat() -> None:
    vault = Vault(ring(1))
    assert len({vault.seal(SECRET, PLACE)[5:17] for _ in range(200)}) == 200


@pytest.mark.parametrize("position", range(65))
def test_each_altered_byte_is_noticed(position: int) -> None:
    vault = Vault(ring(1, 2))
    envelope = bytearray(vault.seal(SECRET, PLACE))
    envelope[position] ^= 0x03  # key id 2 becomes 1, which the ring holds too
    with pytest.raises(EnvelopeError) as caught:
        vault.open(bytes(envelope), PLACE)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 16, 17, 32, 64, 66])
def test_another_length_is_noticed(length: int) -> None:
    vault = Vault(ring(1))
    envelope = (vault.seal(SECRET, PLACE) + b"\0")[:length]
    with pytest.raises(EnvelopeError):
        vault.open(envelope, PLACE)


@pytest.mark.parametrize(
    "place",
    [
        Place("agents", PLACE.record_id, PLACE.column),
        Place(PLACE.table, "8a6e0804-2bd0-4672-b79d-d97027f9071b", PLACE.column),
        Place(PLACE.table, PLACE.record_id, "other"),
        Place("connections8a", PLACE.record_id[2:], PLACE.column),
    ],
)
def test_an_envelope_does_not_open_in_another_place(place: Place) -> None:
    vault = Vault(ring(1))
    with pytest.raises(EnvelopeError, match="another record"):
        vault.open(vault.seal(SECRET, PLACE), place)


def test_a_place_with_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        Vault(ring(1)).seal(SECRET, Place("a\0b", "c", "d"))


def test_a_missing_key_is_named() -> None:
    envelope = Vault(ring(3)).seal(SECRET, PLACE)
    with pytest.raises(EnvelopeError, match="key 3, which the key ring does not hold"):
        Vault(ring(1)).open(envelope, PLACE)


def test_old_envelopes_open_after_a_new_key_was_added() -> None:
    old = Vault(ring(1)).seal(SECRET, PLACE)
    vault = Vault(ring(1, 2))
    assert vault.open(old, PLACE) == SECRET
    assert int.from_bytes(vault.seal(SECRET, PLACE)[1:5], "big") == 2


def test_the_key_id_is_part_of_what_is_authenticated() -> None:
    vault = Vault(KeyRing({1: b"k" * 32, 2: b"k" * 32}, 1))
    envelope = bytearray(vault.seal(SECRET, PLACE))
    envelope[4] = 2
    with pytest.raises(EnvelopeError):
        vault.open(bytes(envelope), PLACE)


def test_another_key_of_the_same_id_opens_nothing() -> None:
    envelope = Vault(KeyRing.generate()).seal(SECRET, PLACE)
    with pytest.raises(EnvelopeError):
        Vault(KeyRing.generate()).open(envelope, PLACE)


def test_a_ring_is_read_as_it_was_written() -> None:
    written = ring(2, 5, 3)
    read = KeyRing.parse("# a note\n\n" + written.dump(), "the test")
    assert read == KeyRing(dict(written.keys), 3)
    assert KeyRing.parse(",".join(written.dump().split()), "the environment").current == 3


def test_no_key_is_shown() -> None:
    shown = repr(ring(65))
    assert "AAAA" not in shown
    assert "current=65" in shown


GOOD = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no key"),
        ("# only a note\n", "holds no key"),
        (f"0:{GOOD}", "Entry 1 of the key ring"),
        (f"4294967296:{GOOD}", "Entry 1 of the key ring"),
        (f"x:{GOOD}", "Entry 1 of the key ring"),
        (f"\u0661:{GOOD}", "Entry 1 of the key ring"),
        (GOOD, "Entry 1 of the key ring"),
        (f"1:{GOOD}\n2:{GOOD[:-4]}", "Entry 2 of the key ring"),
        (f"1:{GOOD}!", "Entry 1 of the key ring"),
        (f"1:{GOOD}\n1:{GOOD}", "key id 1 twice"),
    ],
)
def test_a_broken_ring_is_refused_without_showing_it(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        KeyRing.parse(text, "the test")
    assert GOOD[:20] not in str(caught.value)
