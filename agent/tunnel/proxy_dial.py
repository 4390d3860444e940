"""The way to the integration server: directly, or through the proxy that the route names."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Final

from agent.tunnel.dial import Dial, dial, interleave
from agent.tunnel.proxy_error import ProxyError
from agent.tunnel.proxy_http import connect_by_http
from agent.tunnel.proxy_route import ProxyRoute
from agent.tunnel.proxy_socks import connect_by_socks

ADDRESSES_MAX: Final = 4
"""How many addresses of a name a ``socks5`` proxy is asked for; each one takes a connection of its own."""

_SOONER: Final = 0.95  # a moment before the keeper's own limit, whose sentence cannot name the proxy


class ProxyDial:
    """A ``Dial``. ``route`` (None: no proxy) may be replaced at any time and counts from the next attempt on.

    ``timeout_s`` bounds an attempt through a proxy, names, TCP and the proxy's answers together; whoever calls has a
    limit of the same length. ``direct`` makes the TCP connections, to the proxy as well.
    """

    def __init__(self, route: ProxyRoute | None, timeout_s: float, direct: Dial = dial) -> None:
        self.route = route
        self._timeout_s = timeout_s
        self._direct = direct

    def __repr__(self) -> str:
        return f"<ProxyDial {self.route}>"

    async def __call__(self, host: str, port: int) -> socket.socket:
        """A socket that leads to ``host:port``, with every byte of the server still in it.

        Raises ``ProxyError`` when the proxy did not lead there, ``OSError`` when a direct connection failed.
        """
        route = self.route
        if route is None or not route.leads_to(host, port):
            return await self._direct(host, port)
        try:
            async with asyncio.timeout(self._timeout_s * _SOONER):
                return await self._through(route, host, port)
        except TimeoutError:
            raise ProxyError(
                route,
                f"did not lead to {host} port {port} within {self._timeout_s:g} s: check host and port in"
                f" {route.named}, the firewall, and the proxy's log",
            ) from None

    async def _through(self, route: ProxyRoute, host: str, port: int) -> socket.socket:
        if route.address.scheme != "socks5":
            return await self._connect(route, host, port)
        *others, last = await _resolve(route, host, port)
        for address in others:
            try:
                return await self._connect(route, address, port)
            except ProxyError as error:
                if error.needs_a_person:
                    raise
        return await self._connect(route, last, port)

    async def _connect(self, route: ProxyRoute, host: str, port: int) -> socket.socket:
        try:
            sock = await self._direct(route.address.host, route.address.port)
        except OSError as error:
            raise ProxyError(
                route,
                f"cannot be reached ({_cause(error)}): check host and port in {route.named}, DNS and the firewall",
            ) from None
        try:
            if route.address.scheme == "http":
                await connect_by_http(sock, route, host, port)
            else:
                await connect_by_socks(sock, route, host, port)
        except BaseException as error:  # cancelled, too: nobody else knows this socket yet
            sock.close()
            if isinstance(error, OSError) and not isinstance(error, ProxyError):
                raise ProxyError(
                    route, f"broke off the connection ({_cause(error)}): see why in the proxy's log"
                ) from None
            raise
        return sock


async def _resolve(route: ProxyRoute, host: str, port: int) -> list[str]:
    """The addresses of ``host`` in the order in which to try them, at least one."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not found:
            raise OSError("no address")
    except OSError as error:
        raise ProxyError(
            route,
            f"was not asked, since this machine cannot resolve {host} ({_cause(error)}): write socks5h:// in"
            f" {route.named}, and the proxy resolves the name",
        ) from None
    ordered = interleave([(family, address) for family, _, _, _, address in found])
    return [str(address[0]) for _, address in ordered[:ADDRESSES_MAX]]


def _cause(error: OSError) -> str:
    """The system's own words; asyncio replaces them by others, which repeat the address."""
    is_system = not isinstance(error, socket.gaierror) and (error.errno or 0) > 0
    return os.strerror(error.errno or 0).lower() if is_system else error.strerror or str(error)
