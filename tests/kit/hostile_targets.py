"""Hostile methods, paths, queries and content types: requests that are good HTTP and mean something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TargetCase:
    """``rest`` follows the shop's folder; ``tail`` are further fields, without the empty line."""

    id: str
    category: str
    rest: bytes
    error: str = "policy_denied"
    method: bytes = b"GET"
    tail: bytes = b""


METHODS = (
    b"TRACE",
    b"OPTIONS",
    b"PURGE",
    b"PROPFIND",
    b"MKCOL",
    b"FOO",
    b"get",
    b"Delete",
    b"POST.",
    b"DELETE-",
    b"_GET",
)

PATHS = (
    b"", b"api/..", b"api/../admin9014z77vpinmj03dssx/index.php?controller=AdminLogin", b"api/../api/currencies",
    b"api/products/../customers", b"api/./products", b"api/products/.", b"api/%2e%2e/admin-dev/",
    b"api/%2E%2E%2fadmin-dev", b"api/..%2f..%2fadmin-dev", b"api%2fproducts", b"api/products%2F1",
    b"api/..\\admin-dev", b"api\\products", b"api/products;jsessionid=1", b"api/products;url=customers",
    b"api/products%3Burl=customers", b"api/products&url=customers", b"api/products&ps_method=DELETE",
    b"api/products/1%26ps_method=DELETE", b"api/products%26url=customers", b"api/products&id_shop=2&url=customers",
    b"api/products%3Fps_method=DELETE", b"api/products%23", b"api/products%00", b"api/products%0a",
    b"api/products%0d%0aX-Injected:1", b"api/products%20", b"api/products+", b"api//products", b"api/products//1",
    b"api/products//", b"API/products", b"Api/products", b"%61pi/products", b"apis/products", b"api.php/products",
    b"api/products.json", b"api/products%", b"api/products%zz", b"api/caf\xc3\xa9",
    b"webservice/dispatcher.php?url=products&limit=1", b"admin-dev/", b"admin9014z77vpinmj03dssx/index.php",
    b"index.php", b"img/p/1/1-small_default.jpg", b".htaccess", b"config/settings.inc.php", b"en/",
    b"b2b/api/products", b"api/products/*", b"api/products/~", b"api/products/@", b"api/products:1",
    b"api/products,1", b"api/products$", b"api/[1]",
)  # a table to be compared by eye  # fmt: skip

OVERRIDES = (
    b"ps_method=DELETE", b"ps_method", b"ps%5Fmethod=DELETE", b"%70%73_method=DELETE", b"ps.method=DELETE",
    b"ps+method=DELETE", b"ps%20method=DELETE", b"ps%2Emethod=DELETE", b"ps[method=DELETE", b"ps%5Bmethod=DELETE",
    b"+ps_method=DELETE", b"%20%20ps_method=DELETE", b"ps_method%00=DELETE", b"ps_method%00[]=DELETE",
    b"ps_method[]=DELETE", b"ps_method%5Bx%5D=DELETE", b"limit=1&ps_method=DELETE", b"limit=1;ps_method=DELETE",
    b"&ps_method=DELETE", b"ps_method=PUT", b"ps_method=HEAD&ps_method=DELETE", b"a=%26&+ps.method%00x=DELETE",
    b"a=b?&ps_method=DELETE", b"url=customers", b"%75rl=customers", b"u%72l=customers", b"+url=customers",
    b"url%00=customers", b"url[]=customers", b"url", b"limit=1&url=customers", b"limit=1;url=customers",
    b"display=full&%20url%00a=customers", b"url=products&limit=1",
)  # a table to be compared by eye  # fmt: skip

SHOPS = (
    b"id_shop=2", b"id_shop=all", b"id_shop=", b"id_shop", b"id%5Fshop=2", b"id.shop=2", b"id+shop=2", b"id[shop=2",
    b"+id_shop=2", b"id_shop%00=2", b"id_shop[]=2", b"id_shop[x]=2", b"limit=1&id_shop=2", b"limit=1;id_shop=2",
    b"id_shop=1&id_shop=2", b"id_group_shop=1", b"id.group.shop=1", b"id[group_shop=1", b"id_group_shop[]=1",
    b"id_shop_group=1", b"id.shop.group=1", b"%69d_shop_group=1",
)  # a table to be compared by eye  # fmt: skip

UNREADABLE = (
    b"a%00b=1", b"%01=1", b"%2BAHA-s_method=DELETE", b"%1B(Bps_method=DELETE", b"caf\xc3\xa9=1", b"%C3%A9=1",
    b"a%26b=1", b"a%3Bb=1", b"&".join([b"a=1"] * 201), b"&".join([b"a"] * 1005) + b"&limit=1", b"a%0ab=1",
)  # a table to be compared by eye  # fmt: skip

MULTIPART = (
    b"multipart/form-data; boundary=B", b"Multipart/Form-Data;boundary=B", b"\tmultipart/form-data; boundary=B",
    b"multipart/mixed; boundary=B", b"text/xml, multipart/form-data; boundary=B", b"MULTIPART/FORM-DATA",
    b"application/x-www-form-urlencoded; multipart",
)  # a table to be compared by eye  # fmt: skip

_FORM = b"Content-Length: 0\r\n"


def cases(hop: str) -> Iterator[TargetCase]:
    """The cases of one hop; but for the double slash, which the gateway folds, they are the same."""
    yield from _numbered("method", (TargetCase("", "method", b"api/products/1", method=name) for name in METHODS))
    paths = PATHS if hop == "agent" else (*PATHS, b"//api/products", b"/../api/products")
    if hop == "agent":
        paths = (*paths, b"/api/products", b"/", b"//api/products")
    yield from _numbered("path", (TargetCase("", "path", path) for path in paths))
    for method in (b"GET", b"POST"):
        queries = OVERRIDES if method == b"GET" else OVERRIDES[:12]
        found = (TargetCase("", "override", b"api/products/1?" + query, method=method) for query in queries)
        yield from _numbered(f"override-{method.decode().lower()}", found)
    images = (
        b"api/images/products/1/2?ps_method=DELETE", b"api/images/products/1/2?ps_method=put",
        b"api/images/products/1/2?ps.method=PUT", b"api/images/products/1/2?ps_method=PUT&ps_method=DELETE",
        b"api/images/products/1/2?ps_method=PUT&url=customers", b"api/images?ps_method=PUT",
        b"api/imagesx/1?ps_method=PUT",
    )  # a table to be compared by eye  # fmt: skip
    yield from _numbered("override-image", (TargetCase("", "override", rest, method=b"POST") for rest in images))
    yield from _numbered("shop", (TargetCase("", "shop", b"api/products?" + query) for query in SHOPS))
    yield from _numbered("query", (TargetCase("", "query", b"api/products?" + query) for query in UNREADABLE))
    forms = (b"Content-Type: " + value + b"\r\n" + _FORM for value in MULTIPART)
    yield from _numbered("body", (TargetCase("", "body", b"api/products", method=b"POST", tail=tail) for tail in forms))
    yield TargetCase(
        "body-images-alone",
        "body",
        b"api/images",
        method=b"POST",
        tail=b"Content-Type: multipart/form-data\r\n" + _FORM,
    )
    form = b"Content-Type: application/x-www-form-urlencoded; multipart\r\n" + _FORM
    yield TargetCase("body-form-on-images", "body", b"api/images/products/1", method=b"POST", tail=form)
    two = b"Content-Type: multipart/form-data; boundary=B\r\nContent-Type: text/xml\r\n" + _FORM
    yield TargetCase("body-two-types", "body", b"api/products", method=b"POST", tail=two)
    if hop == "gateway":
        yield TargetCase("shop-in-path", "shop", b"api/products&id_shop=2")
        yield TargetCase("shop-in-path-and-query", "shop", b"api/products&id_group_shop=1?id_shop=2")


def _numbered(prefix: str, found: Iterator[TargetCase]) -> Iterator[TargetCase]:
    for number, case in enumerate(found, 1):
        yield TargetCase(f"{prefix}-{number:02}", case.category, case.rest, case.error, case.method, case.tail)


GATEWAY_TARGETS: tuple[tuple[str, bytes, str], ...] = (
    ("no-slug", b"/", "client_key_invalid"),
    ("double-slash-before-slug", b"//@SLUG@/api/products", "client_key_invalid"),
    ("unknown-slug", b"/@SLUG@x/api/products", "client_key_invalid"),
    ("slug-in-capitals", b"/%4CYON/api/products", "client_key_invalid"),
    ("slug-in-percent", b"/l%79on/api/products", "client_key_invalid"),
    ("slug-of-dots", b"/../@SLUG@/api/products", "client_key_invalid"),
    ("slug-with-semicolon", b"/@SLUG@;x/api/products", "client_key_invalid"),
    ("slug-with-ampersand", b"/@SLUG@&x/api/products", "client_key_invalid"),
    ("slug-alone", b"/@SLUG@", "policy_denied"),
    ("slug-and-query", b"/@SLUG@?url=products", "policy_denied"),
    ("the-store-by-name", b"/@SLUG@/http://@AUTHORITY@/api/products", "policy_denied"),
    ("folder-of-the-store", b"/@SLUG@@SHOP@api/products", "policy_denied"),
    ("asterisk-form", b"*", "bad_request"),
    ("authority-form", b"@AUTHORITY@", "bad_request"),
    ("relative-form", b"@SLUG@/api/products", "bad_request"),
    ("absolute-form-without-path", b"http://gateway.example", "bad_request"),
    ("other-scheme", b"ftp://gateway.example/@SLUG@/api/products", "bad_request"),
)
"""What a client may try with the gateway's own part of the target."""

LIES: tuple[tuple[str, bytes, str], ...] = (
    ("origin-form", b"@SHOP@api/products", "policy_denied"),
    ("asterisk-form", b"*", "policy_denied"),
    ("authority-form", b"@AUTHORITY@", "policy_denied"),
    ("without-path", b"@ORIGIN@", "policy_denied"),
    ("without-path-but-query", b"@ORIGIN@?@SHOP@api/products", "policy_denied"),
    ("other-host", b"http://other.example@SHOP@api/products", "policy_denied"),
    ("other-scheme", b"https://@AUTHORITY@@SHOP@api/products", "policy_denied"),
    ("no-scheme", b"//@AUTHORITY@@SHOP@api/products", "policy_denied"),
    ("scheme-in-capitals", b"HTTP://@AUTHORITY@@SHOP@api/products", "policy_denied"),
    ("scheme-of-files", b"file://@AUTHORITY@@SHOP@api/products", "policy_denied"),
    ("other-port", b"http://@HOST@:1@SHOP@api/products", "policy_denied"),
    ("port-with-zero", b"http://@HOST@:0@PORT@@SHOP@api/products", "policy_denied"),
    ("port-and-more", b"http://@HOST@:@PORT@0@SHOP@api/products", "policy_denied"),
    ("no-port", b"http://@HOST@@SHOP@api/products", "policy_denied"),
    ("empty-port", b"http://@HOST@:@SHOP@api/products", "policy_denied"),
    ("user", b"http://user@@AUTHORITY@@SHOP@api/products", "policy_denied"),
    ("user-that-looks-like-the-store", b"http://@AUTHORITY@@other.example@SHOP@api/products", "policy_denied"),
    ("trailing-dot", b"http://@HOST@.:@PORT@@SHOP@api/products", "policy_denied"),
    ("longer-host", b"http://@HOST@.other.example:@PORT@@SHOP@api/products", "policy_denied"),
    ("backslash-host", b"http://other.example\\@AUTHORITY@@SHOP@api/products", "policy_denied"),
    ("loopback-by-name", b"http://localhost:@PORT@@SHOP@api/products", "policy_denied"),
    ("loopback-in-short", b"http://127.1:@PORT@@SHOP@api/products", "policy_denied"),
    ("loopback-as-number", b"http://2130706433:@PORT@@SHOP@api/products", "policy_denied"),
    ("percent-host", b"http://%31%32%37.0.0.1:@PORT@@SHOP@api/products", "policy_denied"),
    ("metadata-service", b"http://169.254.169.254/latest/meta-data/", "policy_denied"),
    ("fragment", b"@ORIGIN@@SHOP@api/products#x", "bad_request"),
    ("double-slash-after-host", b"@ORIGIN@/@SHOP@api/products", "policy_denied"),
    ("other-folder", b"@ORIGIN@/other/api/products", "policy_denied"),
    ("no-folder", b"@ORIGIN@/api/products", "policy_denied"),
    ("folder-in-part", b"@ORIGIN@/sho/api/products", "policy_denied"),
    ("folder-and-more", b"@ORIGIN@/shopx/api/products", "policy_denied"),
    ("folder-in-capitals", b"@ORIGIN@/SHOP/api/products", "policy_denied"),
    ("folder-by-dots", b"@ORIGIN@/x/..@SHOP@api/products", "policy_denied"),
    ("folder-in-percent", b"@ORIGIN@/%73hop/api/products", "policy_denied"),
)
"""What a gateway may say that the agent's settings do not; the store listens on 127.0.0.1 in the folder /shop/."""
