"""What a sample store is told: keys, shops and their addresses, switches, and how its web server behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

READ = frozenset({"GET", "HEAD"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

FrontStyle = Literal["apache", "nginx", "fcgi"]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A webservice key of 32 characters.

    ``grants`` names the methods allowed for each resource; None grants everything that this store has records of.
    ``shops`` are the ids of the shops it is tied to.
    """

    key: str = field(repr=False)
    grants: Mapping[str, frozenset[str]] | None = None
    active: bool = True
    shops: frozenset[int] = frozenset({1})


@dataclass(frozen=True, slots=True)
class ShopUrl:
    """One row of PrestaShop's shop_url table. An empty ``domain`` becomes host:port of the store when it starts."""

    domain: str = ""
    physical_uri: str = "/"
    virtual_uri: str = ""
    id_shop: int = 1
    main: bool = True

    @property
    def base_uri(self) -> str:
        """The folder of the shop as its customers see it."""
        return self.physical_uri + self.virtual_uri


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop. ``prices`` (product id to price) and ``absent`` (product ids) are what differs in this shop."""

    id: int = 1
    name: str = ""
    id_group: int = 1
    prices: Mapping[int, str] = field(default_factory=dict)
    absent: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Front:
    """How one listening socket behaves.

    ``style``: ``apache`` is mod_php; ``fcgi`` Apache with proxy_fcgi, which loses Authorization; ``nginx`` always
    answers chunked and keeps connections open after errors. ``idle_timeout_s`` None means 5 s, with nginx 75 s.
    ``files_uri``: the folder under which the web server has the shop's files; None means that it fits the shop.
    ``cookies_in_request``: a PHP without request_order, which takes overrides from cookies, too.
    """

    style: FrontStyle = "apache"
    certificate: Path | None = None
    certificate_key: Path | None = None
    idle_timeout_s: float | None = None
    files_uri: str | None = None
    cookies_in_request: bool = False

    @property
    def tls(self) -> bool:
        """Whether it speaks TLS."""
        return self.certificate is not None

    @property
    def keep_alive_s(self) -> float:
        """Silence after which a kept connection is closed."""
        if self.idle_timeout_s is not None:
            return self.idle_timeout_s
        return 75.0 if self.style == "nginx" else 5.0


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Everything a sample store needs to start.

    ``seed``: a file in the shape of the shipped catalogue; None is that catalogue. ``database``: the SQLite file
    (made anew), None is in memory. ``delay_s``: silence before each answer. ``canonical_redirect``: 1 answers a wrong
    Host with 302, 0 and 2 with 301. ``ssl_enabled`` makes links https. ``upload_max_bytes`` is PHP's post_max_size.
    """

    keys: tuple[ApiKey, ...] = ()
    urls: tuple[ShopUrl, ...] = (ShopUrl(),)
    shops: tuple[Shop, ...] = (Shop(),)
    seed: Path | None = None
    database: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    front: Front = Front()
    webservice: bool = True
    ssl_enabled: bool = False
    ssl_everywhere: bool = False
    maintenance: bool = False
    canonical_redirect: int = 1
    delay_s: float = 0.0
    admin_folder: str = "backoffice"
    upload_max_bytes: int = 32 * 1024 * 1024
