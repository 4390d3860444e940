"""The web site: which request goes to the webservice, to a page of the shop, or to an error of the web server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import unquote_to_bytes

from agent.demo.store import pages
from agent.demo.store.access import Caller, Redirect, credentials, find_shop
from agent.demo.store.answer import Answer
from agent.demo.store.config import Front, ShopUrl, StoreConfig
from agent.demo.store.database import Database
from agent.demo.store.head import RequestHead
from agent.demo.store.php import RequestVars, parse_body, parse_cookies, parse_query
from agent.demo.store.pictures import read_picture
from agent.demo.store.service import Invocation, Webservice, no_credentials

_PICTURE = re.compile(r"^img/p/(?:\d/)+(\d+)(?:-([a-z_]+))?\.jpg$")
_ABSOLUTE = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)([^#]*)")


@dataclass(slots=True)
class Site:
    """One shop installation behind one or more fronts."""

    config: StoreConfig
    urls: tuple[ShopUrl, ...]
    database: Database
    clock: Callable[[], float] = time.time
    webservice: Webservice = field(init=False)

    def __post_init__(self) -> None:
        self.webservice = Webservice(self.config, self.database, self.clock)

    def answer(self, head: RequestHead, body: bytes, front: Front) -> Answer:
        """Answer one request whose body (b"" if it was too big for PHP) is here."""
        if head.method == "TRACE":
            return pages.trace(head.raw)
        target, absolute = head.target, False
        host = head.field("Host") or ""
        if (match := _ABSOLUTE.match(target)) is not None:
            host, target, absolute = match[1], match[2] or "/", True
        raw_path, _, query = target.partition("?")
        path = _resolve(raw_path)
        if path is None:
            return pages.server_error(404 if "%2f" in raw_path.lower() else 400)
        physical = self.urls[0].physical_uri
        files_uri = front.files_uri or physical
        if not (path + "/").startswith(files_uri):
            return pages.server_error(404)
        relative = path[len(files_uri) :]
        if files_uri != physical:
            # The rewrite rules that PrestaShop generated send everything into a folder that is not there.
            return pages.server_error(500)
        if "%3f" in raw_path.lower():
            return pages.server_error(403)
        return self._route(head, body, front, relative, query, _Place(host, target, files_uri, absolute))

    def _route(self, head: RequestHead, body: bytes, front: Front, relative: str, query: str, place: _Place) -> Answer:
        virtual = next((one.virtual_uri for one in self.urls if relative.startswith(one.virtual_uri or "\0")), "")
        inside = relative[len(virtual) :]
        base_uri = place.files_uri + virtual
        if inside == "api" or inside.startswith("api/"):
            arguments = b"url=" + inside[4:].encode("utf-8", errors="surrogateescape")
            if query:
                arguments += b"&" + query.encode("latin-1", errors="replace")
            return self._dispatch(head, body, front, arguments, base_uri, place)
        if inside == "webservice/dispatcher.php":
            return self._dispatch(head, body, front, query.encode("latin-1", errors="replace"), base_uri, place)
        return self._shop_page(head, front, inside, place)

    def _dispatch(
        self, head: RequestHead, body: bytes, front: Front, arguments: bytes, base_uri: str, place: _Place
    ) -> Answer:
        """webservice/dispatcher.php, with ``arguments`` as its query string."""
        variables = RequestVars(get=parse_query(arguments))
        if head.method == "POST":
            parse_body(head.field("Content-Type") or "", body, variables)
        if front.cookies_in_request:
            variables.cookies = parse_cookies((head.field("Cookie") or "").encode("latin-1"))
        host = head.field("X-Forwarded-Host") or place.host
        caller = Caller(host, place.target, base_uri, front.tls, place.absolute_form)
        context = find_shop(self.config, self.urls, caller, variables.get)
        if isinstance(context, Redirect):
            return pages.shop_redirect(context.status, context.location)
        authorization = None if front.style == "fcgi" else head.field("Authorization")
        key = credentials(authorization, variables.get)
        if key is None:
            return no_credentials(self.clock())
        merged = variables.merged()
        method, url = merged.get("ps_method", head.method), merged.get("url", "")
        return self.webservice.fetch(
            Invocation(
                method=method if isinstance(method, str) else "Array",
                url=url if isinstance(url, str) else "Array",
                variables=variables,
                raw_body=_php_input(head, body),
                key=key,
                context=context,
                output_format=_output_format(head, variables),
                local_sha1=head.field("Local-Content-Sha1"),
            )
        )

    def _shop_page(self, head: RequestHead, front: Front, inside: str, place: _Place) -> Answer:
        now = self.clock()
        home = self.urls[0]
        scheme = "https" if front.tls else "http"
        if (match := _PICTURE.match(inside)) is not None:
            return self._static_picture(int(match[1]), match[2])
        if inside == self.config.admin_folder:
            return pages.moved_to_folder(f"{scheme}://{place.host}{place.files_uri}{inside}/")
        if inside.startswith(f"{self.config.admin_folder}/"):
            return pages.admin_login_page(now)
        if self.config.maintenance:
            return pages.maintenance_page(now)
        if inside == "":
            return pages.home_redirect(f"{scheme}://{home.domain}{home.base_uri}en/", 302, by_language=True)
        if inside != "en/":
            return pages.page_not_found(now)
        seen_as_https = front.tls or head.field("X-Forwarded-Proto") == "https"
        wanted = self.config.ssl_everywhere
        if self.config.ssl_enabled and seen_as_https != wanted:
            to = "https" if wanted else "http"
            return pages.home_redirect(f"{to}://{home.domain}{home.base_uri}en/", 301, by_language=False)
        shop = self.database.read("shops", 1) or {}
        products = self.database.read_many("products", self.database.ids("products", tail="ORDER BY seq LIMIT 20"))
        names = [str(next(iter(one["name"].values()), "")) for one in products]
        return pages.front_page(now, str(shop.get("name", "")), names)

    def _static_picture(self, number: int, size: str | None) -> Answer:
        rows = self.database.execute("SELECT owner FROM pictures WHERE kind = 'products' AND id = ?", (number,))
        picture = read_picture(self.database, "products", int(rows[0][0]), number, size) if rows else None
        if picture is None:
            return pages.server_error(404)
        fields = [
            ("Last-Modified", formatdate(self.clock(), usegmt=True)),
            ("ETag", f'"{len(picture.content):x}-{number:x}"'),
            ("Accept-Ranges", "bytes"),
        ]
        return Answer(200, fields, picture.content, picture.content_type, by_server=True)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the request was addressed to: host, request URI, the folder of the shop's files."""

    host: str
    target: str
    files_uri: str
    absolute_form: bool


def _resolve(raw_path: str) -> str | None:
    """The path as Apache sees it: decoded, slashes merged, dot segments resolved. None: refused."""
    if "%2f" in raw_path.lower() or "%00" in raw_path or not raw_path.startswith("/"):
        return None
    path = unquote_to_bytes(raw_path).decode("utf-8", errors="surrogateescape")
    kept: list[str] = []
    parts = re.sub("/+", "/", path).split("/")[1:]
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "..":
            if not kept:
                return None
            kept.pop()
        if part in (".", ".."):
            if last:
                kept.append("")
        else:
            kept.append(part)
    return "/" + "/".join(kept)


def _php_input(head: RequestHead, body: bytes) -> bytes:
    """php://input: PHP has consumed the body of a multipart POST, and nobody reads it for other methods."""
    multipart = (head.field("Content-Type") or "").lower().startswith("multipart/form-data")
    if head.method not in ("POST", "PUT", "PATCH") or (head.method == "POST" and multipart):
        return b""
    return body


def _output_format(head: RequestHead, variables: RequestVars) -> str:
    for name in ("Io-Format", "Output-Format"):
        if (given := head.field(name)) is not None:
            return given
    for name in ("io_format", "output_format"):
        if isinstance(value := variables.get.get(name), str):
            return value
    return "XML"
