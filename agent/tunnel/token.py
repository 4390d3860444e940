"""The access token: one string that installs an agent. Standard library, ``agent.errors``, ``agent.private_file``.

Layout: ``psa1_`` and base64url (no padding) of

    length of the payload, 2 bytes | check of prefix and length, 2 bytes | payload, JSON | checksum, 8 bytes

Both checks are the first bytes of a SHA-256 that begins with the prefix, so that a paste that lost its end, a paste
with a wrong character, and a token of another version are told apart. They guard against accidents, not forgery:
what protects the token is its secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.errors import TokenError
from agent.private_file import PrivateFile

PREFIX: Final = "psa1_"
SERVERS_MAX: Final = 8
PINS_MAX: Final = 4

_FAMILY = re.compile(r"psa([0-9]{1,4})_")
_LENGTH_BYTES: Final = 2
_HEAD_BYTES: Final = 4
_CHECKSUM_BYTES: Final = 8
_AGENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_PIN = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?")
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\]")
_FILE: Final = PrivateFile(
    name="access token",
    content="the token",
    remedy="make a new token",
    advice=" (prestashop-agent enroll does that); integration-server agents create NAME prints one",
    error=TokenError,
)
_AGAIN: Final = "copy it again from the integration server (integration-server agents create makes a new one)"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """Where the server is, which host keys it may have, who this agent is, and its secret.

    ``servers`` are 1-8 ``host:port`` (IPv6 in brackets), ``pins`` 1-4 host-key fingerprints as OpenSSH prints them
    (``SHA256:...``), ``agent_id`` is the SSH user name and ``secret`` the SSH password (43 characters base64url, 32
    random bytes). Raises ``TokenError`` when a value is outside of these bounds; the secret is in no message.
    """

    servers: tuple[str, ...]
    pins: tuple[str, ...]
    agent_id: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.servers) <= SERVERS_MAX:
            raise TokenError(f"An access token names 1 to {SERVERS_MAX} servers, not {len(self.servers)}.")
        for server in self.servers:
            split_server(server)
        if not 1 <= len(self.pins) <= PINS_MAX:
            raise TokenError(f"An access token carries 1 to {PINS_MAX} host-key pins, not {len(self.pins)}.")
        for pin in self.pins:
            if not _PIN.fullmatch(pin):
                raise TokenError("A host-key pin of an access token is SHA256: and 43 characters base64.")
        if not _AGENT_ID.fullmatch(self.agent_id):
            raise TokenError("The agent id of an access token is 1 to 64 letters, digits, dots, dashes, underscores.")
        if not _SECRET.fullmatch(self.secret):
            raise TokenError("The secret of an access token is 43 characters base64url (32 random bytes).")

    def encode(self) -> str:
        """The one string; about 240 characters with one server and one pin."""
        content = {"a": self.agent_id, "k": self.secret, "p": self.pins, "s": self.servers}
        payload = json.dumps(content, separators=(",", ":"), ensure_ascii=True).encode("ascii")
        length = len(payload).to_bytes(_LENGTH_BYTES, "big")
        body = length + _check(length, _HEAD_BYTES - _LENGTH_BYTES) + payload
        return PREFIX + _base64(body + _check(body, _CHECKSUM_BYTES))


def new_secret() -> str:
    """A fresh secret: 32 random bytes as 43 characters base64url."""
    return secrets.token_urlsafe(32)


def split_server(server: str) -> tuple[str, int]:
    """``host:port`` as a pair, IPv6 without its brackets. Raises ``TokenError`` when it is not that."""
    host, colon, port = server.rpartition(":")
    known = _IPV6.fullmatch(host) or _HOST.fullmatch(host)
    if not colon or not known or not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise TokenError(
            "A server address of an access token is host:port (IPv6 as [address]:port): set public_ssh_address on the"
            " integration server and make the token again."
        )
    return host.strip("[]"), int(port)


def parse_token(text: str) -> AccessToken:
    """Read a pasted token; blanks and line breaks around and inside (wrapped mail) do not matter.

    Raises ``TokenError`` with one sentence each for: not a token, another version, truncated, altered.
    """
    compact = "".join(text.split())
    family = _FAMILY.match(compact)
    if family is None:
        raise TokenError(f"This is not an access token: one begins with {PREFIX}; {_AGAIN}.")
    if family.group() != PREFIX:
        raise TokenError(
            f"This access token is of version {family.group(1)}, this program knows version 1: update prestashop-agent."
        )
    body = _unpack(compact[len(PREFIX) :])
    try:
        content = json.loads(body)
        return AccessToken(
            servers=tuple(map(_text, content["s"])),
            pins=tuple(map(_text, content["p"])),
            agent_id=_text(content["a"]),
            secret=_text(content["k"]),
        )
    except (ValueError, KeyError, TypeError):  # `from None`: the chained error would quote the secret
        raise TokenError(f"This access token is complete but its content is not understood; {_AGAIN}.") from None


def read_token_file(path: Path, *, is_credential: bool = False) -> AccessToken:
    """Read the token from a credential or a file that nobody else can read.

    Raises ``TokenError`` for what ``PrivateFile.read`` (missing, open to others, ...) and ``parse_token`` refuse.
    """
    raw = _FILE.read(path, is_credential=is_credential)
    try:
        return parse_token(raw.decode("utf-8", "replace"))
    except TokenError as error:
        raise TokenError(f"In {path}: {error}") from None


def _unpack(encoded: str) -> bytes:
    """Payload of the base64url part; tells truncated from altered by the length that it carries itself."""
    altered = TokenError(f"This access token was altered (a character is wrong or added); {_AGAIN}.")
    truncated = TokenError(f"This access token is truncated (its end is missing); {_AGAIN}.")
    if re.search(r"[^A-Za-z0-9_-]", encoded):
        raise altered
    usable = len(encoded) - (len(encoded) % 4 == 1)  # one base64 character alone carries no byte
    try:
        raw = base64.urlsafe_b64decode(encoded[:usable] + "=" * (-usable % 4))
    except binascii.Error:
        raise altered from None
    if len(raw) < _HEAD_BYTES:
        raise truncated
    length = raw[:_LENGTH_BYTES]
    if raw[_LENGTH_BYTES:_HEAD_BYTES] != _check(length, _HEAD_BYTES - _LENGTH_BYTES):
        raise altered
    end = _HEAD_BYTES + int.from_bytes(length, "big")
    if len(raw) < end + _CHECKSUM_BYTES:
        raise truncated
    if len(raw) > end + _CHECKSUM_BYTES or raw[end:] != _check(raw[:end], _CHECKSUM_BYTES):
        raise altered
    if _base64(raw) != encoded:  # the unused bits of the last character
        raise altered
    return raw[_HEAD_BYTES:end]


def _check(content: bytes, size: int) -> bytes:
    return hashlib.sha256(PREFIX.encode("ascii") + content).digest()[:size]


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
