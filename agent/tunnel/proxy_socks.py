"""Through a SOCKS5 proxy: CONNECT (RFC 1928) with user name and password (RFC 1929)."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from agent.tunnel.proxy_address import ProxyLogin
from agent.tunnel.proxy_error import ProxyError
from agent.tunnel.proxy_route import ProxyRoute
from agent.tunnel.proxy_socket import receive_exactly

NAME_MAX_BYTES: Final = 255  # RFC 1928 section 5: one octet holds the length

_VERSION: Final = 5
_NO_LOGIN, _PASSWORD, _NONE_ACCEPTABLE = 0x00, 0x02, 0xFF
_IPV4, _NAME, _IPV6 = 0x01, 0x03, 0x04
_ADDRESS_BYTES: Final = {_IPV4: 4, _IPV6: 16}
_NOT_ALLOWED: Final = 0x02
_REPLIES: Final = {  # RFC 1928 section 6
    0x01: "general failure",
    0x03: "network unreachable",
    0x04: "host unreachable",
    0x05: "connection refused",
    0x06: "TTL expired",
    0x07: "command not supported",
    0x08: "address type not supported",
}


def connect_request(host: str, port: int) -> bytes:
    """The request; an address goes as such (IPv6 without brackets), anything else as a name for the proxy to resolve.

    Raises ``ValueError`` for a name that is empty, longer than 255 bytes or not ASCII.
    """
    address: IPv4Address | IPv6Address | None
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is not None:
        target = bytes((_IPV4 if address.version == 4 else _IPV6,)) + address.packed
    else:
        name = host.encode("ascii")
        if not 0 < len(name) <= NAME_MAX_BYTES or not host.isprintable():
            raise ValueError("not a host")
        target = bytes((_NAME, len(name))) + name
    return bytes((_VERSION, 1, 0)) + target + port.to_bytes(2, "big")


async def connect_by_socks(sock: socket.socket, route: ProxyRoute, host: str, port: int) -> None:
    """Make ``sock``, connected to the proxy, lead to ``host:port``; the caller sets the time limit and closes.

    Raises:
        ProxyError: the proxy refuses login or connection, speaks another protocol, or closes.
    """
    try:
        await _log_in(sock, route)
        await asyncio.get_running_loop().sock_sendall(sock, connect_request(host, port))
        await _read_reply(sock, route, host, port)
    except EOFError:
        raise ProxyError(
            route,
            f"closed the connection in the middle of its answer: check host and port in {route.named}, and the"
            " proxy's log",
        ) from None


async def _log_in(sock: socket.socket, route: ProxyRoute) -> None:
    login = route.address.login
    methods = bytes((_NO_LOGIN,) if login is None else (_NO_LOGIN, _PASSWORD))
    await asyncio.get_running_loop().sock_sendall(sock, bytes((_VERSION, len(methods))) + methods)
    version = (await receive_exactly(sock, 1))[0]
    if version != _VERSION:
        raise _not_socks(route)
    method = (await receive_exactly(sock, 1))[0]
    if method == _NONE_ACCEPTABLE and login is None:
        raise ProxyError(route, f"wants a login: set {route.login_place}", needs_a_person=True)
    if method == _NONE_ACCEPTABLE:
        raise ProxyError(
            route,
            "accepts neither a connection without login nor one with user name and password: ask its administrator"
            " for one of the two",
            needs_a_person=True,
        )
    if method not in methods:
        raise _not_socks(route)
    if method == _PASSWORD and login is not None:
        await _say_password(sock, route, login)


async def _say_password(sock: socket.socket, route: ProxyRoute, login: ProxyLogin) -> None:
    request = bytes((1, len(login.username))) + login.username + bytes((len(login.password),)) + login.password
    await asyncio.get_running_loop().sock_sendall(sock, request)
    # The first byte should be 1, but servers are seen that repeat the 5 of SOCKS; only the second one decides.
    if (await receive_exactly(sock, 2))[1] != 0:
        raise ProxyError(
            route, f"refuses the user name or the password: correct {route.login_place}", needs_a_person=True
        )


async def _read_reply(sock: socket.socket, route: ProxyRoute, host: str, port: int) -> None:
    version, reply = await receive_exactly(sock, 2)
    if version != _VERSION:
        raise _not_socks(route)
    if reply != 0:  # judged before the rest of the answer is read: some servers close after these two bytes
        raise _refusal(route, reply, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    kind = (await receive_exactly(sock, 2))[1]
    if kind == _NAME:
        size = (await receive_exactly(sock, 1))[0]
    elif kind in _ADDRESS_BYTES:
        size = _ADDRESS_BYTES[kind]
    else:
        raise _not_socks(route)
    await receive_exactly(sock, size + 2)  # the address that the proxy connects from means nothing to us


def _refusal(route: ProxyRoute, reply: int, server: str) -> ProxyError:
    if reply == _NOT_ALLOWED:
        return ProxyError(
            route,
            f"forbids a connection to {server}: ask its administrator to allow it, or let the integration server's SSH"
            " listen on a port that is allowed, such as 443",
            needs_a_person=True,
        )
    cause = _REPLIES.get(reply, f"code {reply}")
    return ProxyError(
        route, f"could not reach {server} ({cause}): check that address, and the proxy's DNS, way out and log"
    )


def _not_socks(route: ProxyRoute) -> ProxyError:
    return ProxyError(
        route,
        f"does not answer as a SOCKS5 proxy does: check scheme, host and port in {route.named} (http:// is for HTTP"
        " proxies)",
    )
