"""The answer to ``GET <shop>/api/``, and the signs in it by which PrestaShop's webservice is known. Pure: no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from agent.errors import BY_NAME

BODY_MAX_BYTES: Final = 64 * 1024
"""How much of a body is looked at; the listing of all 69 resources is 35 kB."""

DUMMY_KEY: Final = "PROBE000000000000000000000000000"
"""32 characters, so that PrestaShop looks it up (another length is refused earlier) and knows it is not there."""

Fields = tuple[tuple[bytes, bytes], ...]

_ERROR_CODE: Final = re.compile(rb"<code>\s*(?:<!\[CDATA\[)?\s*(\d{1,4})\s*(?:\]\]>)?\s*</code>")
_HOST: Final = re.compile(r"[a-z0-9._:\[\]-]{1,262}")
_DISPATCHER: Final = re.compile(rb"[?&]url=")
_VERSION: Final = re.compile(rb"[0-9][0-9A-Za-z.+-]{0,30}")


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """The outcome of one request through the real path.

    ``status`` is 0 when the store did not answer; then ``error_name`` is a name of the error contract and
    ``error_detail`` our own text about it. ``body`` holds the first 64 KiB, with chunking removed; it is empty
    where only the head was read.
    """

    status: int
    fields: Fields = ()
    body: bytes = b""
    error_name: str | None = None
    elapsed_s: float = 0.0
    error_detail: str = ""

    def field(self, name: bytes) -> bytes:
        """The first value of a field, ``b""`` when there is none; ``name`` in small letters."""
        return next((value.strip() for each, value in self.fields if each.lower() == name), b"")

    @property
    def codes(self) -> frozenset[int]:
        """PrestaShop's own error numbers in the body."""
        return frozenset(int(code) for code in _ERROR_CODE.findall(self.body[:BODY_MAX_BYTES]))

    @property
    def code_list(self) -> str:
        """The first eight of ``codes``, for a sentence."""
        return ", ".join(str(code) for code in sorted(self.codes)[:8])

    @property
    def version(self) -> str | None:
        """The shop's version, where the webservice says it; to an unknown key it says 0."""
        value = self.field(b"psws-version")
        return value.decode() if _VERSION.fullmatch(value) and value != b"0" else None

    @property
    def from_webservice(self) -> bool:
        """True when a field says that the webservice spoke; a host may drop one of the two."""
        return self.field(b"x-powered-by").lower() == b"prestashop webservice" or self.field(b"psws-version") != b""

    @property
    def asks_for_key(self) -> bool:
        """True for the webservice's realm: its plain 401 comes where the web server drops ``Authorization``."""
        return b"prestashop" in self.field(b"www-authenticate").lower()

    @property
    def redirected_by_prestashop(self) -> bool:
        """True for a redirect of PrestaShop's own: it drops ``/api/`` and carries the dispatcher's ``url`` along."""
        return _DISPATCHER.search(self.field(b"location")) is not None

    @property
    def time_facts(self) -> dict[str, float]:
        """``unix_time_s``, the clock of the web server, when it is said as RFC 9110 section 6.6.1 has it."""
        try:
            return {"unix_time_s": parsedate_to_datetime(self.field(b"date").decode("ascii")).timestamp()}
        except (ValueError, OverflowError):
            return {}

    @property
    def redirect_place(self) -> tuple[str, str]:
        """Scheme and authority of ``Location`` in small letters; the authority is ``""`` where it names no host.

        The rest of a Location may carry a token or the key.
        """
        try:
            location = urlsplit(self.field(b"location").decode("ascii", "replace"))
        except ValueError:
            return "", ""
        authority = location.netloc.rpartition("@")[2].lower()
        return location.scheme.lower(), authority if _HOST.fullmatch(authority) else ""


def detail_of(name: str, message: str) -> str:
    """What a ``message`` of the error ``name`` says beyond the name, the summary and the remedy; "" for nothing.

    Another version may word these otherwise; what is not known stays.
    """
    error = BY_NAME.get(name)
    rest = message.strip().removeprefix(f"{name}:").strip()
    if error is not None:
        rest = rest.removeprefix(error.summary).removesuffix(error.remedy).strip()
    return rest
