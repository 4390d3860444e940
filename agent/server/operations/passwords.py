"""Passwords of people: argon2id in threads, so that the loop goes on while one is checked."""

from __future__ import annotations

import asyncio
import functools
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from agent.server.operations.failures import InvalidError

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 256
AT_ONCE_MAX: Final = 2
"""Each takes 64 MiB and tens of milliseconds of a core: the memory of more would be an attacker's to spend."""

_HASHER: Final = PasswordHasher()  # argon2id with the second recommended option of RFC 9106, 4
_TOO_COMMON: Final = frozenset(
    "abc abcdefghijkl admin administrator azerty azertyuiop bienvenue bonjour changeme contrasena dragon football "
    "iloveyou integration integrationserver letmein login master monkey motdepasse pass password passwort prestashop "
    "princess qwerty qwertyuiop qwertz qwertzuiop root secret sunshine superman test welcome willkommen".split()
)
"""Letters alone: digits and signs around them, and repetitions, are what a guesser tries next."""


def check_new_password(password: str, name: str) -> None:
    """Raises InvalidError for a password that is too short, too long, or guessed first."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise InvalidError(
            f"A password has {LENGTH_MIN} to {LENGTH_MAX} characters: several words in a row are easy to remember.",
            field="password",
        )
    is_monotone = len(set(password)) < 5
    core = _once(_letters(password))
    if is_monotone or not core or core in _TOO_COMMON or core == _letters(name):
        raise InvalidError("This password would be guessed first: take several words in a row.", field="password")


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalpha())


def _once(text: str) -> str:
    """``abab`` as ``ab``."""
    period = (text + text).find(text, 1)
    return text[:period] if period > 0 else text


class Passwords:
    """Makes and checks hashes, ``AT_ONCE_MAX`` at the same time."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE_MAX)

    async def hash(self, password: str) -> str:
        """The hash that is kept."""
        async with self._places:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def matches(self, kept: str | None, password: str) -> bool:
        """Is it the password? ``kept`` None (nobody of that name, or no password yet) takes as long as a wrong one."""
        if len(password) > LENGTH_MAX:
            return False
        async with self._places:
            return await asyncio.to_thread(_verify, kept, password)


def is_outdated(kept: str) -> bool:
    """True when this hash was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(kept)


def _verify(kept: str | None, password: str) -> bool:
    nobody = _of_nobody()  # made at the first login of any name, lest that of nobody take longer
    try:
        _HASHER.verify(kept if kept is not None else nobody, password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


@functools.cache
def _of_nobody() -> str:
    return _HASHER.hash("a password that nobody has")
