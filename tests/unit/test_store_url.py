"""Store addresses as people paste them, and as they are stored."""

from __future__ import annotations

import pytest

from agent.errors import SettingsError
from agent.store_url import Store, left_out_of, make_store, parse_store, read_store_url

# One candidate: the text decides.
CERTAIN = [
    # the front page of a shop at the root
    ("https://shop.example.com", "https://shop.example.com/"),
    ("https://shop.example.com/", "https://shop.example.com/"),
    ("HTTPS://Shop.Example.COM/", "https://shop.example.com/"),
    ("  https://shop.example.com/\n", "https://shop.example.com/"),
    ("https://shop.example.com./", "https://shop.example.com/"),
    ("https://shop.example.com:443/", "https://shop.example.com/"),
    ("http://shop.example.com:80", "http://shop.example.com/"),
    ("http://shop.example.com:443/", "http://shop.example.com:443/"),
    ("https://shop.example.com:/", "https://shop.example.com/"),
    ("https://shop.example.com:08443/", "https://shop.example.com:8443/"),
    ("https://shop.example.com/#contact", "https://shop.example.com/"),
    ("https://shop.example.com/?utm_source=mail#top", "https://shop.example.com/"),
    ("https://shop.example.com//", "https://shop.example.com/"),
    ("shop.example.com:443", "https://shop.example.com/"),
    ("shop.example.com:80", "http://shop.example.com/"),
    ("https://10.0.0.7/", "https://10.0.0.7/"),
    ("http://[2001:DB8::0:1]:8080/", "http://[2001:db8::1]:8080/"),
    ("http://[::1]", "http://[::1]/"),
    ("http://localhost:8081", "http://localhost:8081/"),
    ("http://my_shop.lan/", "http://my_shop.lan/"),
    ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
    ("https://bücher.example/", "https://xn--bcher-kva.example/"),
    ("https://BÜCHER.example./", "https://xn--bcher-kva.example/"),
    ("https://boutique\u3002example/", "https://boutique.example/"),
    # pages that only the front office has
    ("https://h/index.php?id_product=1&controller=product", "https://h/"),
    ("https://h/shop/index.php?controller=category&id_category=3", "https://h/shop/"),
    ("https://h/index.php", "https://h/"),
    ("https://h/12-dress.html", "https://h/"),
    # the webservice itself
    ("https://h/api", "https://h/"),
    ("https://h/api/", "https://h/"),
    ("https://h/shop/api/", "https://h/shop/"),
    ("https://h/shop/api/products/1?display=full&ws_key=SECRETSECRET", "https://h/shop/"),
    ("https://h/shop/b2b/api", "https://h/shop/b2b/"),
    ("https://h//api/", "https://h/"),
    ("https://h/webservice/dispatcher.php?url=products", "https://h/"),
    ("https://h/shop/webservice/dispatcher.php", "https://h/shop/"),
    ("https://h/api/?id_shop=2", "https://h/?id_shop=2"),
    ("https://h/shop/api/products?limit=1&id_shop=all", "https://h/shop/?id_shop=all"),
    # an admin folder with a name that PrestaShop made
    ("https://h/admin8753msazg/", "https://h/"),
    ("https://h/admin9014z77vpinmj03dssx", "https://h/"),
    ("https://h/shop/admin9014z77vpinmj03dssx/index.php?controller=AdminLogin&token=SECRET", "https://h/shop/"),
    ("https://h/a/b/admin9014z77vpinmj03dssx/index.php/sell/orders?_token=SECRET", "https://h/a/b/"),
    ("https://h/admin-dev/", "https://h/"),
    ("https://h/shop/admin-dev/login?_token=SECRET", "https://h/shop/"),
    # an admin folder with any name, told by what is in it
    ("https://h/shop/admin123abc/index.php?controller=AdminLogin&token=SECRET", "https://h/shop/"),
    ("https://h/secret-door/index.php?controller=AdminOrders&id_shop=7&token=SECRET", "https://h/"),
    ("https://h/secret-door/index.php?tab=AdminHome&token=SECRET", "https://h/"),
    ("https://h/shop/secret-door/index.php/sell/orders/?_token=SECRET", "https://h/shop/"),
    ("https://h/secret-door/index.php/improve/modules%2Fmanage?x=%zz", "https://h/"),
    ("https://h/shop/secret-door/index.php?_token=SECRET", "https://h/shop/"),
    ("https://h/shop/secret-door/sell/catalog/products?_token=SECRET", "https://h/shop/"),
    ("https://h/shop/secret-door/?_token=SECRET", "https://h/shop/"),
]

# Several: a probe has to choose; the likeliest comes first.
UNCERTAIN = [
    ("https://h/shop/", ["https://h/shop/", "https://h/"]),
    ("https://h/shop", ["https://h/shop/", "https://h/"]),
    ("https://h/shop/?id_shop=2", ["https://h/shop/?id_shop=2", "https://h/?id_shop=2"]),
    ("https://h/a/b/", ["https://h/a/b/", "https://h/a/"]),
    ("https://h/shop/index.php", ["https://h/shop/", "https://h/"]),
    ("https://h/shop/?token=SECRET", ["https://h/shop/", "https://h/"]),
    ("https://h/admin/", ["https://h/", "https://h/admin/"]),
    ("https://h/admin123abc/", ["https://h/", "https://h/admin123abc/"]),
    ("https://h/shop/MyAdmin/index.php", ["https://h/shop/", "https://h/shop/MyAdmin/"]),
    ("https://h/backoffice", ["https://h/", "https://h/backoffice/"]),
    ("https://h/en/", ["https://h/", "https://h/en/"]),
    ("https://h/fr", ["https://h/", "https://h/fr/"]),
    ("https://h/shop/en-us/", ["https://h/shop/", "https://h/shop/en-us/"]),
    ("https://h/shop/en/women/12-dress.html", ["https://h/shop/", "https://h/shop/en/women/", "https://h/shop/en/"]),
    ("https://h/en/3-clothes", ["https://h/", "https://h/en/"]),
    ("shop.example.com", ["https://shop.example.com/", "http://shop.example.com/"]),
    ("//h/api", ["https://h/", "http://h/"]),
    ("h:8080/api", ["https://h:8080/", "http://h:8080/"]),
    ("h/shop/", ["https://h/shop/", "https://h/", "http://h/shop/", "http://h/"]),
    ("h/shop/index.php?controller=AdminLogin&back=http://other/", ["https://h/", "http://h/"]),
    ("[2001:db8::1]", ["https://[2001:db8::1]/", "http://[2001:db8::1]/"]),
]

REFUSED = [
    "", " ", "/", "//", "https://", "https:///shop/", "http:/h/", "https:h", "/var/www/shop", "?x", "#", ":", ":80",
    ".", "ftp://h/", "file:///etc/passwd", "javascript://h/%0a", "ssh://SECRET@h", "mailto:SECRET@h", "HTTP+x://h/",
    "https://SECRET@h/", "https://user:SECRET@h/api", "SECRET@h/api", "https://h@other/", "https://h:1@other/",
    "https://h:0/", "https://h:65536/", "https://h:99999/", "https://h:x/", "https://h:-1/", "https://h:8 0/",
    "https://h:\u0664\u0664/", "https://h:80:90/",
    "https://a b/", "https://h/a b/", "https://h/\tx", "https://h/\u00a0x", "https://h\\shop/", "https://h/shop\\x",
    "https://h/../shop/", "https://h/shop/..", "https://h/./", "https://h/shop/../admin-dev/", "https://h/x/../api/",
    "https://h/sh%6Fp/", "https://h/%2e%2e/", "https://h/caf\u00e9/", "https://h/a;b/", "https://h/a&b/", "https://h/.../",
    "https://h/api/api/", "https://-h.example/", "https://h-.example/", "https://h..example/", "https://.h/",
    "https://h*/", "https://h%2eexample/", "https://" + "a" * 64 + ".example/", "https://" + "a." * 127 + "example/",
    "https://1.2.3/", "https://1.2.3.4.5/", "https://127.1/", "https://2130706433/", "https://0x7f.0.0.1/", "https://h.0x1/",
    "https://256.1.1.1/", "https://01.2.3.4/", "https://2001:db8::1/", "https://[2001:db8::1/", "https://[fe80::1%25eth0]/",
    "https://[::ffff:10.0.0.1]/", "https://[x]/", "https://[]/", "https://[::1]x/", "https://stra\u00dfe.example/",
    "https://a\u200db.example/", "https://\u2100.example/", "https://h/?id_shop=0", "https://h/?id_shop=1%202",
    "https://h/api?id_shop=SECRET", "https://h/" + "a" * 5000,
]  # a table to be compared by eye  # fmt: skip


@pytest.mark.parametrize(("text", "store"), CERTAIN)
def test_an_address_that_means_one_store(text: str, store: str) -> None:
    reading = read_store_url(text)
    assert [str(candidate) for candidate in reading.candidates] == [store]
    assert reading.certain


@pytest.mark.parametrize(("text", "stores"), UNCERTAIN)
def test_an_address_that_can_mean_several(text: str, stores: list[str]) -> None:
    reading = read_store_url(text)
    assert [str(candidate) for candidate in reading.candidates] == stores
    assert not reading.certain


@pytest.mark.parametrize("text", REFUSED)
def test_an_address_that_is_none_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_store_url(text)
    message = str(caught.value)
    assert "SECRET" not in message
    assert message.endswith(".")
    assert "\n" not in message
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("text", [text for text, _ in CERTAIN + UNCERTAIN if "SECRET" in text])
def test_tokens_and_keys_are_not_kept(text: str) -> None:
    assert "SECRET" not in repr(read_store_url(text))


def test_the_value_of_a_store() -> None:
    store = make_store("https", "shop.example.com", 8443, "/shop/", "b2b/", "2")
    assert store.authority == "shop.example.com:8443"
    assert store.origin == "https://shop.example.com:8443"
    assert store.shop_path == "/shop/b2b/"
    assert store.webservice_url == "https://shop.example.com:8443/shop/b2b/api/"
    assert str(store) == "https://shop.example.com:8443/shop/b2b/?id_shop=2"
    assert make_store("http", "::1", 80, "/").authority == "[::1]"


@pytest.mark.parametrize(
    ("text", "virtual_uri", "id_shop", "store"),
    [
        ("https://h/", "", "", Store("https", "h", 443, "/")),
        ("https://h/shop/", "", "", Store("https", "h", 443, "/shop/")),
        ("https://h/shop/", "b2b/", "", Store("https", "h", 443, "/shop/", "b2b/")),
        ("https://h/shop/b2b/", "b2b/", "", Store("https", "h", 443, "/shop/", "b2b/")),
        ("https://h/b2b/b2b/", "b2b/", "", Store("https", "h", 443, "/b2b/", "b2b/")),
        ("https://h/xb2b/", "b2b/", "", Store("https", "h", 443, "/xb2b/", "b2b/")),
        ("https://h/?id_shop=2", "", "", Store("https", "h", 443, "/", "", "2")),
        ("https://h/", "", "all", Store("https", "h", 443, "/", "", "all")),
        ("https://h/?id_shop=2", "", "2", Store("https", "h", 443, "/", "", "2")),
        ("http://[::1]:8080/", "", "", Store("http", "::1", 8080, "/")),
    ],
)
def test_parse_store(text: str, virtual_uri: str, id_shop: str, store: Store) -> None:
    assert parse_store(text, virtual_uri, id_shop) == store


@pytest.mark.parametrize(
    ("text", "virtual_uri", "id_shop"),
    [
        ("https://h", "", ""),
        ("https://h/shop", "", ""),
        ("HTTPS://h/", "", ""),
        ("https://H/", "", ""),
        ("https://h./", "", ""),
        ("https://h:443/", "", ""),
        ("https://h:0444/", "", ""),
        ("https://b\u00fccher.example/", "", ""),
        ("https://[2001:0db8::1]/", "", ""),
        (" https://h/", "", ""),
        ("https://h//", "", ""),
        ("https://h/#x", "", ""),
        ("https://h/?", "", ""),
        ("https://h/?a=1", "", ""),
        ("https://h/?id_shop=2&a=1", "", ""),
        ("https://h/?id_shop=02", "", ""),
        ("https://h/?id_shop=ALL", "", ""),
        ("https://h/?id_shop=2", "", "3"),
        ("https://h/", "", "0"),
        ("https://h/", "", "two"),
        ("https://h/", "b2b", ""),
        ("https://h/", "/b2b/", ""),
        ("https://h/", "api/", ""),
        ("https://h/", "../", ""),
        ("https://h/", "a%20b/", ""),
        ("https://h/api/", "", ""),
        ("https://h/api", "", ""),
        ("https://SECRET@h/", "", ""),
        ("h/", "", ""),
        ("//h/", "", ""),
        ("ftp://h/", "", ""),
    ],
)
def test_parse_store_takes_the_one_form_alone(text: str, virtual_uri: str, id_shop: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_store(text, virtual_uri, id_shop)
    assert "SECRET" not in str(caught.value)


def test_parse_store_says_which_form() -> None:
    with pytest.raises(SettingsError, match=r"write https://shop\.example\.com/shop/ instead"):
        parse_store("https://Shop.example.com:443/shop/#")


@pytest.mark.parametrize(
    "fields",
    [
        ("ftp", "h", 80, "/"),
        ("https", "", 443, "/"),
        ("https", "H", 443, "/"),
        ("https", "h.", 443, "/"),
        ("https", "[::1]", 443, "/"),
        ("https", "::0001", 443, "/"),
        ("https", "a:b", 443, "/"),
        ("https", "h", 0, "/"),
        ("https", "h", 65536, "/"),
        ("https", "h", 443, ""),
        ("https", "h", 443, "shop/"),
        ("https", "h", 443, "/shop"),
        ("https", "h", 443, "//"),
        ("https", "h", 443, "/a/../"),
        ("https", "h", 443, "/a b/"),
        ("https", "h", 443, "/a/\n"),
        ("https", "h", 443, "/api/"),
        ("https", "h", 443, "/", "b2b"),
        ("https", "h", 443, "/", "", "1\n"),
    ],
)
def test_make_store_checks_every_field(fields: tuple[str, str, int, str]) -> None:
    with pytest.raises(SettingsError):
        make_store(*fields)


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("https://h/", []),
        ("h", []),
        ("https://h/api/", []),
        ("https://h/shop/api", []),
        ("https://h/fr", [...]),
        ("https://h/api/?id_shop=2", []),
        ("https://h/shop/api/products/1?ws_key=CANARY", ["the path behind the shop's folder", "the parameter ws_key"]),
        ("https://h/admin123abc/index.php?token=CANARY&controller=AdminX", [..., "the parameters controller, token"]),
        ("h/admin123abc/?_token=CANARY&CANARY=1&x=CANARY", [..., "the parameter _token", "2 other parameters"]),
        ("https://h/?CANARY", ["1 other parameter"]),
        ("https://h/#CANARY", ["what stands behind #"]),
        ("https://h/admin123abc456/?id_shop=2", [..., "id_shop, by which a back-office address chooses no shop"]),
    ],
)
def test_what_is_left_out_is_said_without_what_may_be_secret(text: str, left_out: list[object]) -> None:
    found = left_out_of(text, read_store_url(text).candidates[0])
    assert found == tuple("the path behind the shop's folder" if each is ... else each for each in left_out)
    assert "CANARY" not in "".join(found)
    assert "admin123abc" not in "".join(found)
