"""Where a proxy is, which protocol it speaks, and the login there. Pure: no I/O.

A login is never part of ``str()`` or ``repr()`` of an address, and no error quotes the text that was read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, get_args
from urllib.parse import unquote_to_bytes

from agent.errors import SettingsError
from agent.host_name import read_host

Scheme = Literal["http", "socks5", "socks5h"]

SOCKS_PORT: Final = 1080  # RFC 1928 section 3
SOCKS_LOGIN_MAX_BYTES: Final = 255  # RFC 1929 section 2: one octet holds the length
HTTP_LOGIN_MAX_BYTES: Final = 4096

_EXAMPLE: Final = 'such as "http://proxy.example.com:3128" or "socks5h://proxy.example.com:1080"'
_HOST_PORT: Final = re.compile(r"(\[[^\[\]/]*\]|[^\[\]/:]*)(?::([0-9]*))?(.*)", re.DOTALL)
_OTHER_SCHEMES: Final = {
    "https": "begins with https://, but a connection to a proxy by TLS is not supported: use the proxy's plain port, "
    "http://proxy.example.com:3128 (the tunnel inside is encrypted by itself)",
    "socks": "begins with socks://, which programs read differently: write socks5h:// (the proxy resolves names) or "
    "socks5:// (this machine does)",
    "socks4": "begins with socks4://, which is not supported: use a proxy with socks5h:// or http://",
    "socks4a": "begins with socks4a://, which is not supported: use a proxy with socks5h:// or http://",
}


@dataclass(frozen=True, slots=True)
class ProxyLogin:
    """User name and password as bytes: the protocols know no character set (RFC 7617 section 2.1 advises UTF-8)."""

    username: bytes
    password: bytes = field(repr=False)

    def check(self, scheme: Scheme) -> None:
        """Raise ``ValueError`` when the protocol of ``scheme`` cannot carry this login; ends a sentence."""
        limit = HTTP_LOGIN_MAX_BYTES if scheme == "http" else SOCKS_LOGIN_MAX_BYTES
        if not self.username:
            raise ValueError("has an empty user name: give one, or leave user name and password out")
        for name, value in (("user name", self.username), ("password", self.password)):
            # RFC 7617 section 2 forbids them in Basic; a SOCKS server may log a name as it comes.
            if any(byte < 0x20 or byte == 0x7F for byte in value):
                raise ValueError(f"has a control character in the {name}: remove it")
            if len(value) > limit:
                raise ValueError(f"has a {name} of over {limit} bytes: take a shorter one")
        if scheme == "http" and b":" in self.username:
            raise ValueError("has a colon in the user name, which Basic authentication cannot carry: take another one")


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """One proxy. ``host`` is a lower-case name or an address, IPv6 without brackets.

    ``socks5`` resolves the server's name on this machine, ``socks5h`` and ``http`` leave that to the proxy, as curl
    has it.
    """

    scheme: Scheme
    host: str
    port: int
    login: ProxyLogin | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def read_proxy_address(text: str) -> ProxyAddress:
    """``[scheme://][user[:password]@]host[:port][/]``; without scheme it is ``http``, as in curl.

    User name and password are percent-decoded and end at the last ``@``. A SOCKS proxy without a port has 1080; an
    HTTP proxy must name its port, since programs disagree (1080 in curl, 80 elsewhere).

    Raises:
        ValueError: the text is none; the message is the rest of a sentence that begins with what holds the text.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = "http", text.strip()
    userinfo, at, host_port = rest.rpartition("@")
    known = _scheme(scheme.lower())
    found = _HOST_PORT.fullmatch(host_port)
    if found is None or not found[1]:
        raise ValueError(f"must be an address {_EXAMPLE}")
    if found[3] not in ("", "/"):
        raise ValueError(
            f"must end with the port: write host and port of the proxy itself, {_EXAMPLE}; a proxy script (PAC) is not"
            " read"
        )
    try:
        host = read_host(found[1])
    except SettingsError:
        raise ValueError(f"holds a host that is neither a name nor an address: write one {_EXAMPLE}") from None
    login = _login(userinfo) if at else None
    if login is not None:
        login.check(known)
    return ProxyAddress(known, host, _port(found[2], known), login)


def _scheme(given: str) -> Scheme:
    for known in get_args(Scheme):
        if given == known:
            return known  # type: ignore[no-any-return]  # get_args knows no types
    raise ValueError(_OTHER_SCHEMES.get(given, f"must be an address {_EXAMPLE}"))


def _port(given: str | None, scheme: Scheme) -> int:
    if not given:
        if scheme == "http":
            raise ValueError(f"has no port: add the one of the proxy, {_EXAMPLE}")
        return SOCKS_PORT
    if len(given) > 5 or not 1 <= int(given) <= 65535:  # bounded before int(): its cost grows with the digits
        raise ValueError("has a port that is not between 1 and 65535: correct it")
    return int(given)


def _login(userinfo: str) -> ProxyLogin:
    username, _, password = userinfo.partition(":")
    # surrogateescape: a variable may hold bytes that are no UTF-8
    return ProxyLogin(*(unquote_to_bytes(each.encode("utf-8", "surrogateescape")) for each in (username, password)))
