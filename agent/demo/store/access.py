"""Which shop a request is for, who asks, and what that key may do: PrestaShop's checks before any resource. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from agent.demo.store.config import METHODS, ApiKey, ShopUrl, StoreConfig
from agent.demo.store.faults import WebserviceFault
from agent.demo.store.php import Vars, build_query
from agent.demo.store.schema import Resource

_KEY_LENGTH = 32


@dataclass(frozen=True, slots=True)
class ShopContext:
    """The shop whose records are shown and the base that its links start with."""

    id_shop: int
    base_url: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """PrestaShop sends the caller to the shop's home page."""

    status: int
    location: str


@dataclass(frozen=True, slots=True)
class Caller:
    """What decides the shop: host as PHP sees it, request URI, TLS, and whether the target was in absolute form."""

    host: str
    request_uri: str
    base_uri: str
    tls: bool
    absolute_form: bool


def find_shop(config: StoreConfig, urls: tuple[ShopUrl, ...], caller: Caller, params: Vars) -> ShopContext | Redirect:
    """The shop of a request, as Shop::initialize finds it; ``params`` are ``$_GET`` with ``url``.

    A numeric ``id_shop`` skips the look-up by host. Otherwise the host, without its port or with it, must be a domain
    of the shop; an absolute-form target never fits, because PHP then takes the whole URL for the path.
    """
    asked = params.get("id_shop")
    scheme = "https" if config.ssl_enabled else "http"
    if isinstance(asked, str) and asked not in ("", "0", "all"):
        shop = next((one for one in config.shops if asked.isdecimal() and one.id == int(asked)), None)
        if shop is not None:
            url = _main_url(urls, shop.id)
            return ShopContext(shop.id, f"{scheme}://{caller.host}{url.base_uri}api/")
        rest = {name: value for name, value in params.items() if name != "id_shop"}
        return _redirect(config, urls, caller, rest)
    if not caller.absolute_form:
        names = (caller.host.rpartition(":")[0].lower() or caller.host.lower(), caller.host.lower())
        for url in urls:
            if url.domain.lower() in names and url.base_uri == caller.base_uri:
                return ShopContext(url.id_shop, f"{scheme}://{caller.host}{url.base_uri}api/")
    return _redirect(config, urls, caller, params)


def _redirect(config: StoreConfig, urls: tuple[ShopUrl, ...], caller: Caller, params: Vars) -> Redirect:
    url = _main_url(urls, 1)
    scheme = "https" if caller.tls else "http"
    status = 302 if config.canonical_redirect == 1 else 301
    query = build_query(params)
    if url.domain.lower() == f"www.{caller.host.lower()}":
        return Redirect(status, f"{scheme}://{url.domain}{caller.request_uri}?{query}")
    return Redirect(status, f"{scheme}://{url.domain}{url.base_uri}?{query}")


def _main_url(urls: tuple[ShopUrl, ...], id_shop: int) -> ShopUrl:
    of_shop = [url for url in urls if url.id_shop == id_shop] or list(urls)
    return next((url for url in of_shop if url.main), of_shop[0])


def credentials(authorization: str | None, get: Vars) -> str | None:
    """The key that was given: the user name of Basic, else ``ws_key``; None when there are no credentials at all."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(encoded.strip(), validate=False).decode("utf-8", errors="replace")
        except (binascii.Error, ValueError):
            decoded = ""
        if ":" in decoded:
            return decoded.partition(":")[0]
    given = get.get("ws_key")
    return given if isinstance(given, str) else None


def authenticate(config: StoreConfig, given: str) -> ApiKey:
    """The active key. Raises WebserviceFault 17, 18, or 20 with 21."""
    given = given.strip()
    if given in ("", "0"):
        raise WebserviceFault(401, (17, "Authentication key is empty"))
    if len(given.encode()) != _KEY_LENGTH:
        raise WebserviceFault(401, (18, "Invalid authentication key format"))
    no_permission = (21, "No permission for this authentication key")
    key = next((one for one in config.keys if one.key == given), None)
    if key is None or not key.active:
        raise WebserviceFault(401, (20, "Authentification key is not active"), no_permission)
    if key.grants is not None and not key.grants:
        raise WebserviceFault(401, no_permission)
    return key


def check_shop_right(config: StoreConfig, key: ApiKey, context: ShopContext, params: Vars) -> None:
    """Raise WebserviceFault 999 for a group without shops, 132 for a key that is tied to none of the shops."""
    group = params.get("id_shop_group", params.get("id_group_shop"))
    shops = {context.id_shop}
    if isinstance(group, str) and group.strip().isdecimal():
        shops = {shop.id for shop in config.shops if shop.id_group == int(group)}
        if not shops:
            raise WebserviceFault(500, (999, "This shop group doesn't have shops"))
    elif params.get("id_shop") == "all":
        shops = {shop.id for shop in config.shops}
    if not shops & key.shops:
        raise WebserviceFault(403, (132, "No permission for this key on this shop"))


def permissions(key: ApiKey, schema: Mapping[str, Resource]) -> dict[str, frozenset[str]]:
    """The methods that the key may use, by resource in alphabetical order; resources without records are left out."""
    has_records = [one.name for one in schema.values() if one.node is not None or one.name in ("images", "search")]
    if key.grants is None:
        return dict.fromkeys(sorted(has_records), METHODS)
    return {name: key.grants[name] for name in sorted(key.grants) if name in has_records}
