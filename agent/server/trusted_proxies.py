"""Who is really asking, behind proxies that the settings name; what others say of forwarding is not believed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """ASGI middleware: client and scheme of requests from a trusted proxy are those of its ``X-Forwarded-*`` fields."""

    def __init__(self, app: ASGIApp, networks: Iterable[str]) -> None:
        self._app = app
        self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in networks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        client = scope.get("client")
        if scope["type"] == "http" and client is not None and self._is_trusted(client[0]):
            fields: dict[bytes, str] = {}
            for name, value in scope["headers"]:  # a field that comes again goes on with the list (RFC 9110, 5.3)
                before = f"{fields[name]}," if name in fields else ""
                fields[name] = before + value.decode("latin-1")
            scope = dict(scope)
            scope["client"] = (self._origin(client[0], fields.get(b"x-forwarded-for", "")), 0)
            scheme = fields.get(b"x-forwarded-proto", "").rpartition(",")[2].strip().lower()  # what our proxy wrote
            if scheme in ("http", "https"):
                scope["scheme"] = scheme
        await self._app(scope, receive, send)

    def _origin(self, proxy: str, forwarded: str) -> str:
        """The last address in the chain that is no trusted proxy: whatever stands before it may be invented."""
        origin = proxy
        for part in reversed(forwarded.split(",")):
            text = _address(part.strip())
            try:
                ipaddress.ip_address(text)
            except ValueError:
                return origin
            origin = text
            if not self._is_trusted(text):
                return origin
        return origin

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks if network.version == address.version)


def _address(text: str) -> str:
    """Without the port that some proxies add: ``192.0.2.7:1234``, ``[2001:db8::7]:1234``."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
