"""A host as it stands in a URL, brought to its one form. Pure: standard library only."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from agent.errors import SettingsError

# Underscores are no part of host names (RFC 952, RFC 1123) but are seen in container and intranet names.
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAME_MAX_CHARS: Final = 253

# Python's own codec follows IDNA 2003, browsers follow UTS 46: these four lead to two different hosts.
_DEVIATIONS: Final = frozenset("\u00df\u03c2\u200c\u200d")


def read_host(text: str) -> str:
    """Lower-case host without trailing dot; IDN as punycode; IPv6 (in brackets in ``text``) without them.

    Raises SettingsError for what is no host, or could be taken for another one: IPv4 addresses in other than four
    plain decimal parts, IPv4 mapped into IPv6, zone identifiers, letters that IDNA versions disagree about.
    """
    if text.startswith("[") and text.endswith("]"):
        return _ipv6(text[1:-1])
    if not text.isascii():
        text = _punycode(text)
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > _NAME_MAX_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        raise SettingsError("The host in the store's address is not a host name; write it as shop.example.com.")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(host)
    return host


def _punycode(text: str) -> str:
    try:
        if _DEVIATIONS.intersection(text):
            raise UnicodeError
        return text.encode("idna").decode("ascii")
    except UnicodeError:
        raise SettingsError(
            "The host in the store's address has letters with no certain ASCII form; write it in punycode (xn--...)."
        ) from None


def _ipv4(host: str) -> str:
    try:
        return str(IPv4Address(host))
    except AddressValueError:
        raise SettingsError("The IPv4 address of the store must be four numbers with dots; correct it.") from None


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise SettingsError("The IPv6 address of the store is not valid; write it as [2001:db8::1].") from None
    if address.scope_id is not None or address.ipv4_mapped is not None:
        raise SettingsError(
            "The store's IPv6 address must have no zone (%) and be no IPv4 address in disguise; write it plainly."
        )
    return address.compressed
