"""Through an HTTP proxy: CONNECT (RFC 9110 section 9.3.6) with Basic authentication (RFC 7617)."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from http import HTTPStatus
from typing import Final

from agent import __version__
from agent.tunnel.proxy_address import ProxyLogin
from agent.tunnel.proxy_error import ProxyError
from agent.tunnel.proxy_route import ProxyRoute
from agent.tunnel.proxy_socket import HEAD_MAX_BYTES, HeadError, receive_head

INTERIM_MAX: Final = 8
HTTPS_PORT: Final = 443

_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,255}")
_STATUS: Final = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9][0-9])(?:[ \t][^\r\n]*)?\r?\n")
_OFFER: Final = re.compile(rb"(?im)^proxy-authenticate:(.*)$")
_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}
_SCHEMES: Final = ("Basic", "Digest", "NTLM", "Negotiate", "Kerberos", "Bearer")


def connect_request(host: str, port: int, login: ProxyLogin | None) -> bytes:
    """The request head. ``host`` is a name or an address, IPv6 without brackets.

    Raises ``ValueError`` for a host with any character that hosts do not have: nothing can end a line early.
    """
    if not _HOST.fullmatch(host):
        raise ValueError("not a host")
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: prestashop-agent/{__version__}"]
    if login is not None:
        token = base64.b64encode(login.username + b":" + login.password).decode("ascii")
        lines.append(f"Proxy-Authorization: Basic {token}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


async def connect_by_http(sock: socket.socket, route: ProxyRoute, host: str, port: int) -> None:
    """Make ``sock``, connected to the proxy, lead to ``host:port``; the caller sets the time limit and closes.

    Raises:
        ProxyError: any final answer but 2xx, one that is none or too long, or none at all.
    """
    await asyncio.get_running_loop().sock_sendall(sock, connect_request(host, port, route.address.login))
    try:
        for _ in range(INTERIM_MAX):
            head = await receive_head(sock)
            found = _STATUS.match(head)
            if found is None:
                raise HeadError(too_long=False)
            status = int(found[1])
            if status >= 200:
                break
        else:
            raise ProxyError(
                route, f"sends interim answers without end: see why in the proxy's log, or check {route.named}"
            )
    except HeadError as error:
        if error.too_long:
            raise ProxyError(
                route, f"answers with a head of over {HEAD_MAX_BYTES} bytes: check host and port in {route.named}"
            ) from None
        raise ProxyError(
            route, f"does not answer as an HTTP proxy does: check scheme, host and port in {route.named}"
        ) from None
    except EOFError:
        raise ProxyError(
            route,
            f"closed the connection without an answer: check host and port in {route.named}, and the proxy's log",
        ) from None
    # In a 2xx answer to CONNECT a Content-Length or Transfer-Encoding means nothing: the tunnel begins at once.
    if status // 100 != 2:
        raise _refusal(route, status, head, host, port)


def _refusal(route: ProxyRoute, status: int, head: bytes, host: str, port: int) -> ProxyError:
    # The proxy's own reason phrase is left out: one that is hostile, or chatty, could repeat our login in it.
    server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    shown = f"{status} {_PHRASES.get(status, '')}".rstrip()
    # tinyproxy answers 401 where it should be 407 (RFC 9110 section 15.5.8) when the login is wrong.
    if status in (HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, HTTPStatus.UNAUTHORIZED):
        return ProxyError(route, _about_the_login(route, status, head), needs_a_person=True)
    if status == HTTPStatus.FORBIDDEN:
        ask = f"ask its administrator to allow CONNECT to {server}"
        if port != HTTPS_PORT:
            ask += (
                f", or let the integration server's SSH listen on port {HTTPS_PORT} as well, which most proxies allow"
            )
        return ProxyError(route, f"forbids a connection to {server} ({shown}): {ask}", needs_a_person=True)
    if status >= 500 and status != HTTPStatus.NOT_IMPLEMENTED:
        return ProxyError(
            route, f"could not reach {server} ({shown}): check that address, and the proxy's DNS, way out and log"
        )
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
        return ProxyError(route, f"does not connect to {server} ({shown}): check {route.named}, and the proxy's log")
    return ProxyError(
        route,
        f"does not make tunnels ({shown}): check that {route.named} holds an HTTP proxy which allows CONNECT, and that"
        " it asks for no login in a browser",
        needs_a_person=True,
    )


def _about_the_login(route: ProxyRoute, status: int, head: bytes) -> str:
    offers = b" ".join(_OFFER.findall(head)).lower()
    offered = [scheme for scheme in _SCHEMES if re.search(rb"(?:^|[\s,])" + scheme.lower().encode() + rb"\b", offers)]
    if offered and "Basic" not in offered:
        return (
            f"asks for a login by {' or '.join(offered)} ({status}), and this program knows Basic only: ask its"
            " administrator for a way without login, or with Basic"
        )
    if route.address.login is None:
        return f"asks for a user name and password ({status}): set {route.login_place}"
    return f"refuses the user name or the password ({status}): correct {route.login_place}"
