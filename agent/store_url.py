"""The store value, and how it is read from a shop or back-office URL. Pure: standard library only.

No error text repeats what was given: addresses pasted from a browser carry tokens, keys and passwords.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from agent.errors import SettingsError
from agent.host_name import read_host

DEFAULT_PORTS = {"http": 80, "https": 443}
URL_MAX_CHARS: Final = 4096

_SEGMENT: Final = r"(?!\.+/)[A-Za-z0-9._~-]+/"
# Only characters that no web server decodes or resolves, so that comparing a target's prefix is exact. A folder named
# `api` cannot be told from the webservice itself.
_BASE_PATH: Final = re.compile(rf"/(?:{_SEGMENT})*(?<!/api/)")
_VIRTUAL_URI: Final = re.compile(rf"(?:{_SEGMENT})*(?<!^api/)(?<!/api/)")
_NO_SCHEME: Final = "A store's address begins with http:// or https://; write one of them."
_NO_ADDRESS: Final = "This is not a web address; write the store's as https://shop.example.com/."
_ID_SHOP: Final = re.compile(r"(?:[1-9][0-9]{0,9}|all)?")

_URL: Final = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?//([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?")
_HAS_SCHEME: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?")

# Tools::generateHash names: `admin`, three digits, then 6 (1.6, 1.7) or 16 (8, 9) lower-case letters and digits;
# `admin-dev` is the folder's name in a development checkout.
_ADMIN_FOLDER: Final = re.compile(r"admin[0-9]{3}(?:[a-z0-9]{6}|[a-z0-9]{16})|admin-dev")
_ADMIN_LIKE: Final = re.compile(r".*(?:admin|backoffice|back-office|backend).*|bo", re.IGNORECASE)
# First parts of the routes under the admin folder; 9.x leaves `index.php` out of them.
_ADMIN_ROUTES: Final = frozenset({"improve", "configure", "sell", "common", "login", "logout", "modules", "security"})
_KNOWN_PARAMETERS: Final = frozenset(
    "controller tab token _token ws_key id_product id_category id_lang id_customer id_order display filter sort limit "
    "date schema output_format io_format".split()
)
# Friendly URLs of the front office: `12-dress`, `8-mug.html`.
_PAGE: Final = re.compile(r"[0-9]+-.*|.*\.(?:html|php)")
_LANGUAGE: Final = re.compile(r"[a-z]{2}(?:-[a-z]{2})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Store:
    """A PrestaShop shop, as policy, hello, pools and connections compare it; built only by this module.

    ``host`` is lower-case without trailing dot (IPv6 literals without brackets); ``base_path`` (PrestaShop's
    ``physical_uri``) begins and ends with ``/``; ``virtual_uri`` is empty or ends with ``/`` and has no leading
    one; ``id_shop`` is empty, digits or ``all``.
    """

    scheme: str
    host: str
    port: int
    base_path: str
    virtual_uri: str = ""
    id_shop: str = ""

    @property
    def authority(self) -> str:
        """``host[:port]`` as it stands in ``Host`` (RFC 9110 7.2): the default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """``scheme://host[:port]`` without a path."""
        return f"{self.scheme}://{self.authority}"

    @property
    def shop_path(self) -> str:
        """Base path and virtual folder; begins and ends with ``/``."""
        return self.base_path + self.virtual_uri

    @property
    def webservice_url(self) -> str:
        """The address of the webservice, ending in ``/api/``."""
        return f"{self.origin}{self.shop_path}api/"

    def __str__(self) -> str:
        suffix = f"?id_shop={self.id_shop}" if self.id_shop else ""
        return f"{self.origin}{self.shop_path}{suffix}"


@dataclass(frozen=True, slots=True)
class StoreReading:
    """What a pasted address can mean: ``candidates``, likeliest first; ``certain`` when the text leaves only one."""

    candidates: tuple[Store, ...]

    @property
    def certain(self) -> bool:
        """True when no probe has to choose between candidates."""
        return len(self.candidates) == 1


def make_store(scheme: str, host: str, port: int, base_path: str, virtual_uri: str = "", id_shop: str = "") -> Store:
    """Check every field and build a Store; for values that come from a wire or a database.

    Raises SettingsError when a field is not in the one form that Store has (nothing is normalised).
    """
    if scheme not in DEFAULT_PORTS:
        raise SettingsError(_NO_SCHEME)
    if read_host(f"[{host}]" if ":" in host else host) != host:
        raise SettingsError("A store's host is written in lower case, without brackets and without a trailing dot.")
    if not 0 < port < 65536:
        raise SettingsError("A store's port is a number from 1 to 65535; correct it.")
    if not _BASE_PATH.fullmatch(base_path):
        raise SettingsError(
            "A store's folder is written /folder/ with plain letters, digits and . _ ~ -, without api/ at its end "
            "and without . or .. steps; copy it from the shop's URL settings (physical URI)."
        )
    if not _VIRTUAL_URI.fullmatch(virtual_uri):
        raise SettingsError(
            "A store's virtual folder is written folder/ without a leading slash, with plain letters, digits and "
            ". _ ~ -; copy it from the shop's URL settings (virtual URI)."
        )
    if not _ID_SHOP.fullmatch(id_shop):
        raise SettingsError("A store's id_shop is the number of a shop, or all; correct it or leave it out.")
    return Store(scheme, host, port, base_path, virtual_uri, id_shop)


def parse_store(text: str, virtual_uri: str = "", id_shop: str = "") -> Store:
    """The inverse of ``str(store)``, for settings and databases: exact, nothing is guessed or normalised.

    A ``virtual_uri`` that ends the path is taken off it, otherwise it is added to it; ``id_shop`` may stand in the text
    or be given, or both when they agree. Raises SettingsError when the text is not the canonical form.
    """
    scheme, authority, path, query = _split(text)
    if not scheme:
        raise SettingsError(_NO_SCHEME)
    host, port = _host_and_port(authority, scheme)
    if query is not None:
        asked = re.fullmatch(r"id_shop=([0-9a-z]+)", query)
        if asked is None or id_shop not in ("", asked[1]):
            raise SettingsError("A store's address may end in ?id_shop=NUMBER and has no other parameter; remove it.")
        id_shop = asked[1]
    base_path = path[: -len(virtual_uri)] if virtual_uri and path.endswith("/" + virtual_uri) else path
    store = make_store(scheme, host, port, base_path, virtual_uri, id_shop)
    if text != f"{store.origin}{path}" + ("" if query is None else f"?{query}"):
        raise SettingsError(f"A store's address must be written in its one form; write {store} instead.")
    return store


def read_store_url(text: str) -> StoreReading:
    """Read the address of a shop, its back office or its webservice, as a person pastes it from a browser.

    Queries and fragments are looked at for what kind of address this is and for ``id_shop``, and dropped: tokens and
    keys in them are never kept. Raises SettingsError when the text cannot be a store's address.
    """
    text = text.strip()
    if not _HAS_SCHEME.match(text):
        if text.lower().startswith(("http:", "https:")):  # a slash is missing; this is no host with a port
            raise SettingsError(_NO_ADDRESS)
        text = "//" + text
    scheme, authority, path, query = _split(text)
    parameters = dict(parse_qsl(query or "", keep_blank_values=True))
    folders, is_office = _folders(path, parameters)
    id_shop = "" if is_office else parameters.get("id_shop", "")
    schemes = [scheme] if scheme else ["https", "http"]
    if not scheme and authority.rpartition(":")[2] in ("80", "443"):
        schemes = ["http" if authority.endswith(":80") else "https"]
    candidates = [
        make_store(name, *_host_and_port(authority, name), base_path=folder, id_shop=id_shop)
        for name in schemes
        for folder in folders
    ]
    return StoreReading(tuple(dict.fromkeys(candidates)))


def left_out_of(text: str, store: Store) -> tuple[str, ...]:
    """What of a pasted address ``store``, as `read_store_url` found it, does not keep, in words.

    Parameters are named where their names are PrestaShop's own; a value, another name, or a part of the path may be a
    secret (the name of the back-office folder is one) and is not repeated.
    """
    address, hash_mark, _ = text.strip().partition("#")
    address, _, query = address.partition("?")
    path = address.partition("://")[2] or address.removeprefix("//")
    rest = "/" + path.partition("/")[2]
    kept = next((each for each in (store.shop_path, store.base_path) if f"{rest}/".startswith(each)), "/")
    found = []
    if rest[len(kept) :].strip("/") not in ("", "api"):
        found.append("the path behind the shop's folder")
    names = [name for name, _ in parse_qsl(query, keep_blank_values=True) if name != "id_shop"]
    known = sorted({name for name in names if name in _KNOWN_PARAMETERS})
    if known:
        found.append(f"the parameter{'s' if len(known) > 1 else ''} {', '.join(known)}")
    others = len({name for name in names if name not in _KNOWN_PARAMETERS})
    if others:
        found.append(f"{others} other parameter{'s' if others > 1 else ''}")
    if not store.id_shop and any(name == "id_shop" for name, _ in parse_qsl(query)):
        found.append("id_shop, by which a back-office address chooses no shop")
    if hash_mark:
        found.append("what stands behind #")
    return tuple(found)


def _split(text: str) -> tuple[str, str, str, str | None]:
    """Scheme (lower-case, may be empty), authority, path and query of a URL."""
    if len(text) > URL_MAX_CHARS or not text.isprintable() or " " in text or "\\" in text:
        raise SettingsError(
            "The store's address holds blanks, control characters or backslashes, or is too long; copy it again."
        )
    match = _URL.fullmatch(text)
    if match is None:
        raise SettingsError(_NO_ADDRESS)
    scheme = (match[1] or "").lower()
    if scheme and scheme not in DEFAULT_PORTS:
        raise SettingsError(_NO_SCHEME)
    return scheme, match[2], match[3], match[4]


def _host_and_port(authority: str, scheme: str) -> tuple[str, int]:
    if "@" in authority:
        raise SettingsError(
            "The store's address holds a user name or key before an @; remove it, keys are given separately."
        )
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise SettingsError("The host or port in the store's address is not valid; write it as host or host:port.")
    port = int(match[2]) if match[2] else DEFAULT_PORTS.get(scheme, 0)
    if not 0 < port < 65536:
        raise SettingsError("The port in the store's address must be a number from 1 to 65535; correct it.")
    return read_host(match[1]), port


def _folders(path: str, parameters: dict[str, str]) -> tuple[list[str], bool]:
    """The base paths that ``path`` can mean, likeliest first, and whether this is surely a back-office address."""
    segments = [segment for segment in path.split("/") if segment]
    if "." in segments or ".." in segments:
        raise SettingsError("The store's address has . or .. steps in its path; open the shop and copy its address.")
    for index, segment in enumerate(segments):
        if _ADMIN_FOLDER.fullmatch(segment):
            return [_join(segments[:index])], True
    if "index.php" in segments:
        index = segments.index("index.php")
        segments, routed = segments[:index], index + 1 < len(segments)
        if segments and (routed or _is_office_query(parameters)):
            return [_join(segments[:-1])], True
        if "controller" in parameters or "id_product" in parameters or "id_category" in parameters:
            return [_join(segments)], False
        return _either(segments), False
    for index in range(len(segments) - 1, -1, -1):
        if segments[index] == "api":
            return [_join(segments[:index])], False
        if segments[index : index + 2] == ["webservice", "dispatcher.php"]:
            return [_join(segments[:index])], False
    if segments and _is_office_query(parameters):
        routes = [index for index, segment in enumerate(segments) if index and segment in _ADMIN_ROUTES]
        return [_join(segments[: routes[0] - 1 if routes else -1])], True
    return _either(segments), False


def _either(segments: list[str]) -> list[str]:
    """A folder of the shop, a language, or an admin folder with a name of the merchant's own: every way."""
    pages = [index for index, segment in enumerate(segments) if _PAGE.fullmatch(segment)]
    if pages:
        segments = segments[: pages[0]]
    kept, dropped = _join(segments), _join(segments[:-1])
    for index, segment in enumerate(segments):
        if _LANGUAGE.fullmatch(segment):
            return [_join(segments[:index]), kept, dropped]
    return [dropped, kept] if segments and _ADMIN_LIKE.fullmatch(segments[-1]) else [kept, dropped]


def _is_office_query(parameters: dict[str, str]) -> bool:
    page = parameters.get("controller") or parameters.get("tab") or ""
    return page.lower().startswith("admin") or "_token" in parameters


def _join(segments: list[str]) -> str:
    return "".join(["/", *(segment + "/" for segment in segments)])
