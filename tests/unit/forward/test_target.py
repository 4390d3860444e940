"""Which store an absolute-form request names."""

from __future__ import annotations

import pytest

from agent.errors import SettingsError
from agent.forward.dialer import TcpDialer
from agent.forward.pool import OriginPool
from agent.forward.target import StoreTable, StoreTarget, tls_context
from agent.policy import Rule
from agent.store_url import Store, parse_store
from tests.kit.certificates import CertificateAuthority


def target(url: str) -> StoreTarget:
    store = parse_store(url)
    return StoreTarget(Rule(store), store.authority.encode(), OriginPool(TcpDialer(store.host, store.port)))


PLAIN = target("https://shop.example/")
FOLDER = target("https://shop.example/shop/")
PORT = target("http://shop.example:8080/")
SHOP_1 = target("https://multi.example/?id_shop=1")
SHOP_12 = target("https://multi.example/?id_shop=12")
TABLE = StoreTable([PLAIN, FOLDER, PORT, SHOP_1, SHOP_12])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (b"https://shop.example/api", PLAIN),
        (b"https://shop.example/api/products?limit=1", PLAIN),
        (b"https://shop.example/api?x=1", PLAIN),
        (b"https://shop.example/shop/api/products", FOLDER),
        (b"http://shop.example:8080/api/", PORT),
        (b"https://multi.example/api/products?id_shop=1", SHOP_1),
        (b"https://multi.example/api/products?id_shop=12", SHOP_12),
        (b"https://multi.example/api/products?limit=1&id_shop=12", SHOP_12),
    ],
)
def test_a_store_is_found(asked: bytes, expected: StoreTarget) -> None:
    found, path = TABLE.find(asked)
    assert found is expected
    assert asked.endswith(path)
    assert path.startswith(b"/")


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b"*",
        b"/api/products",
        b"shop.example:443",
        b"https://shop.example",
        b"https://shop.example/",
        b"https://shop.example/apix",
        b"https://shop.example/API/products",
        b"https://SHOP.example/api",
        b"HTTPS://shop.example/api",
        b"https://shop.example:443/api",
        b"https://user@shop.example/api",
        b"https://shop.example./api",
        b"http://shop.example/api",
        b"https://other.example/api",
        b"https://shop.example@evil.example/api",
        b"//shop.example/api",
    ],
)
def test_anything_written_otherwise_names_no_store(asked: bytes) -> None:
    assert TABLE.find(asked)[0] is None


def test_of_several_shops_one_is_always_taken_and_the_policy_judges_it() -> None:
    found, _ = TABLE.find(b"https://multi.example/api/products")
    assert found in (SHOP_1, SHOP_12)


def test_tls_is_verified_unless_switched_off() -> None:
    https, http = Store("https", "s", 443, "/"), Store("http", "s", 80, "/")
    assert tls_context(http, None, verify=True) is None
    verified = tls_context(https, None, verify=True)
    assert verified is not None
    assert verified.check_hostname
    off = tls_context(https, None, verify=False)
    assert off is not None
    assert not off.check_hostname


def test_a_ca_file_that_cannot_be_used_is_a_settings_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("ca")
    https = Store("https", "s", 443, "/")
    assert tls_context(https, CertificateAuthority(folder).ca_file, verify=True) is not None
    (folder / "empty.pem").write_text("no certificate")
    for name in ("empty.pem", "absent.pem"):
        with pytest.raises(SettingsError, match=name):
            tls_context(https, folder / name, verify=True)
