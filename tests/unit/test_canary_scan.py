"""A scan that cannot find is no proof: each encoding, planted between other bytes, and what is no secret at all."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.kit.canary import Canaries, files_below

KEY = "CANARY0API0KEY0CANARY0API0KEY012"
PASSWORD = 'pass "wörd" & <more>/'

Encode = Callable[[str], bytes]


def in_base64(before: int, encode: Callable[[bytes], bytes], after: bytes = b"") -> Encode:
    return lambda secret: encode(b"x" * before + secret.encode() + after)


ENCODINGS: dict[str, Encode] = {
    "plain": str.encode,
    "percent": lambda secret: quote(secret, safe="").encode(),
    "percent, all": lambda secret: "".join(f"%{byte:02X}" for byte in secret.encode()).encode(),
    "percent, all, lower": lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode()).encode(),
    "percent, partly": lambda secret: f"%{secret.encode()[0]:02x}".encode() + secret[1:].encode(),
    "percent, twice": lambda secret: quote(quote(secret, safe=""), safe="").encode(),
    "form": lambda secret: quote_plus(secret).encode(),
    "hex": lambda secret: secret.encode().hex().encode(),
    "hex, upper": lambda secret: secret.encode().hex().upper().encode(),
    "json": lambda secret: json.dumps(secret).encode(),
    "json, utf-8": lambda secret: json.dumps(secret, ensure_ascii=False).encode(),
    "json, all escaped": lambda secret: "".join(f"\\u{ord(letter):04x}" for letter in secret).encode(),
    "json in json": lambda secret: json.dumps(json.dumps(secret)).encode(),
    "repr of bytes": lambda secret: repr(secret.encode()).encode(),
    "entities": lambda secret: "".join(f"&#{ord(letter)};" for letter in secret).encode(),
    "base64 in json": lambda secret: json.dumps(base64.b64encode(secret.encode()).decode()).encode(),
    "base64, wrapped": in_base64(40, base64.encodebytes),
    "basic": in_base64(0, base64.b64encode, b":"),
    "basic, percent": lambda secret: quote(base64.b64encode(f"{secret}:".encode()), safe="").encode(),
    **{f"base64 at {before}": in_base64(before, base64.b64encode, b"tail") for before in range(4)},
    **{f"base64url at {before}": in_base64(before, base64.urlsafe_b64encode, b"tail") for before in range(4)},
}


@pytest.mark.parametrize("secret", [KEY, PASSWORD])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_planted_secret_is_found(encoding: str, secret: str) -> None:
    canaries = Canaries({"it": secret, "another": "SOMETHING0ELSE0SOMETHING0ELSE012"})
    planted = b'\x00\xff{"a": "b"} ' + ENCODINGS[encoding](secret) + b" 100%\\ &amp; rest"
    assert canaries.find({"log": planted, "clean": b"nothing"}) == ["it in log"]


def test_what_is_no_secret_is_not_found() -> None:
    canaries = Canaries({"key": KEY})
    almost = [KEY[:-1], KEY.lower(), KEY[::-1], KEY[1:], base64.b64encode(KEY[:-3].encode()).decode()]
    assert not canaries.in_bytes("\n".join(almost).encode())
    assert not canaries.in_bytes(bytes(range(256)) * 100)


def test_what_it_says_of_itself_has_no_secret() -> None:
    assert repr(Canaries({"key": KEY})) == "<Canaries key>"


def test_a_secret_across_the_parts_of_a_rotated_log_is_found(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.log.2").write_text("old " + KEY[:5])
    (tmp_path / "deep" / "x.log.1").write_text(KEY[5:20])
    (tmp_path / "deep" / "x.log").write_text(KEY[20:] + " new")
    (tmp_path / "key-ring").write_text(KEY)
    found = Canaries({"key": KEY}).find(files_below(tmp_path, but=["key-ring"]))
    assert found == [f"key in {tmp_path}/deep/x.log and older"]
