"""Where a recorded exchange goes: the store it was made with, the connection that leads there, the request as sent.

One rule for credentials: the key that the recorded store took is replaced, in its place and form, by the client key;
the connection holds the recorded key. Which keys a store took is read from the recordings themselves: those with
which it ever answered 200 or 201. Every other credential stays as it was recorded, and so is none of the gateway's.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tests.kit.cluster import API_KEY, CLIENT_KEY
from tests.kit.exchange import Exchange, Headers

GATEWAY_HOST = "gateway.example:8080"

_SHOP_DOMAIN = re.compile(r"shop domain (\S+?)[,;]?(?:\s|$)")
_SECOND_DOMAIN = re.compile(r"URL row (\S+)")
_BEFORE_API = re.compile(r"(/[a-z0-9/]*?)/?api(?![A-Za-z0-9_])")
_ID_SHOP = re.compile(r"[?&]id_shop=([1-9][0-9]{0,9}|all)(?:&|$)")
_WS_KEY = re.compile(r"(?<=[?&])ws_key=([^&]*)")
_KEY = re.compile(r"[A-Z0-9]{32}")
_DEFAULT_DOMAIN = "127.0.0.1:8081"


@dataclass(frozen=True)
class Place:
    """One store process: whether it speaks TLS, and its shop's domain as it stands in ``Host``."""

    tls: bool
    shop_host: str


@dataclass(frozen=True)
class Route:
    """One connection: store process, folder, shop of a multistore, and how its key is sent."""

    place: Place
    base_path: str
    id_shop: str
    key_in: Literal["basic", "ws_key"]
    api_key: str


@dataclass(frozen=True)
class Placed:
    """A recording on its way: ``target`` is without scheme, authority and base path, ``headers`` are as sent."""

    exchange: Exchange
    route: Route
    target: str
    authority: str
    headers: Headers

    def head(self, slug: str) -> bytes:
        """The request head that the client sends."""
        request = self.exchange.request
        lines = [f"{request.method} {self.authority}/{slug}{self.target} {request.version}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def accepted_keys(exchanges: Iterable[Exchange]) -> frozenset[str]:
    """The keys with which a recorded store ever answered 200 or 201."""
    return frozenset(
        key for exchange in exchanges if exchange.response.status in (200, 201) and (key := recorded_key(exchange))
    )


def recorded_key(exchange: Exchange) -> str | None:
    """The key that PrestaShop sees: the user name of a well-formed Basic, else ``ws_key``; None for no key."""
    user = _basic(exchange.request.header("Authorization") or "")
    if user is not None:
        return user[0]
    found = _WS_KEY.search(exchange.request.target)
    return found[1] if found else None


def place(exchange: Exchange, accepted: frozenset[str], *, right_key: bool = False) -> Placed:
    """Put a recording on its way; with ``right_key`` the client sends its key whatever the recording's was."""
    request = exchange.request
    authority, path = _split(request.target)
    base_path = _base_path(path)
    target = path[len(base_path) - 1 :]
    headers = list(request.headers)
    key = recorded_key(exchange)
    if right_key:
        headers = [(name, value) for name, value in headers if name.lower() != "authorization"]
        headers.append(("Authorization", _encoded(CLIENT_KEY, "")))
    elif key in accepted:
        target = _WS_KEY.sub(lambda found: f"ws_key={CLIENT_KEY}" if found[1] == key else found[0], target)
        headers = [(name, _with_client_key(value) if name == "Authorization" else value) for name, value in headers]
    if headers and headers[0][0] == "Host":
        headers[0] = ("Host", GATEWAY_HOST)
    id_shop = _ID_SHOP.search(path) or _ID_SHOP.search(path.replace("&", "?", 1))
    route = Route(
        place=Place(exchange.tls, _shop_host(exchange)),
        base_path=base_path,
        id_shop=id_shop[1] if id_shop else "",
        key_in="ws_key" if exchange.front == "fcgi" and _WS_KEY.search(path) and not right_key else "basic",
        api_key=key if key is not None and _KEY.fullmatch(key) else API_KEY,
    )
    return Placed(exchange, route, target, f"http://{GATEWAY_HOST}" if authority else "", tuple(headers))


def _split(target: str) -> tuple[str, str]:
    """Scheme and authority of an absolute-form target, and the rest."""
    found = re.match(r"https?://[^/]*", target)
    return (found[0], target[found.end() :]) if found else ("", target)


def _base_path(path: str) -> str:
    """The folder that the recorded client took the shop to be in: what stands before ``api``."""
    found = _BEFORE_API.match(path)
    folder = found[1].strip("/") if found else ""
    return f"/{folder}/" if folder else "/"


def _shop_host(exchange: Exchange) -> str:
    """The recorded ``Host`` where it is one of the shop's, else the shop's domain."""
    found = _SHOP_DOMAIN.search(exchange.setup)
    domain = found[1] if found else _DEFAULT_DOMAIN
    second = _SECOND_DOMAIN.search(exchange.setup)
    host = exchange.request.header("Host") or ""
    without_port = re.sub(r":[0-9]+$", "", host)
    if host == domain or without_port == domain or (second and host == second[1]):
        return host
    return domain


def _basic(authorization: str) -> tuple[str, str] | None:
    """User and password of a well-formed Basic credential."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if scheme.lower() == "basic" and colon else None


def _with_client_key(authorization: str) -> str:
    user = _basic(authorization)
    if user is None:
        return authorization
    return authorization.partition(" ")[0] + _encoded(CLIENT_KEY, user[1]).removeprefix("Basic")


def _encoded(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
