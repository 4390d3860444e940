"""Which settings of the sample store the ``setup`` text of an exchange means. The seed is the caller's to add."""

from __future__ import annotations

from dataclasses import replace

from agent.demo.store import ApiKey, Shop, ShopUrl, StoreConfig
from tests.kit.recordings import recorded_key

READ = frozenset({"GET", "HEAD"})
FULL_KEY = recorded_key("list-products")
READ_KEY = recorded_key("api-read-key")
DEAD_KEY = recorded_key("auth-basic-inactive-key")
KEYS = (
    ApiKey(FULL_KEY),
    ApiKey(READ_KEY, {"products": READ, "orders": READ}),
    ApiKey(DEAD_KEY, active=False),
)
FRESH = StoreConfig(keys=KEYS, urls=(ShopUrl("127.0.0.1:8081"),), admin_folder="admin9014z77vpinmj03dssx")
OWN_FULL_KEY = "HARBOURANDPINEFULLKEY00000000001"
OWN_READ_KEY = "HARBOURANDPINEREADKEY00000000002"
OWN = StoreConfig(
    keys=(ApiKey(OWN_FULL_KEY), ApiKey(OWN_READ_KEY, {"products": READ, "categories": READ})),
    urls=(ShopUrl("shop.example.test"),),
)
TWO_SHOPS = replace(
    FRESH,
    urls=(ShopUrl("127.0.0.1:8081"), ShopUrl("127.0.0.1:8081", virtual_uri="b2b/", id_shop=2)),
    shops=(Shop(), Shop(2, "Shop B2B", prices={1: "99.500000"}, absent=frozenset({19}))),
)
BOTH_SHOPS = (replace(KEYS[0], shops=frozenset({1, 2})), *KEYS[1:])

SETUPS: dict[str, StoreConfig] = {
    "fresh demo data, webservice on": FRESH,
    "write series": FRESH,
    "image series": FRESH,
    "webservice off": replace(FRESH, webservice=False),
    "PS_SSL_ENABLED=1 and PS_SSL_ENABLED_EVERYWHERE=1": replace(FRESH, ssl_enabled=True, ssl_everywhere=True),
    "PS_SSL_ENABLED=1": replace(FRESH, ssl_enabled=True),
    "maintenance": replace(FRESH, maintenance=True),
    "PS_CANONICAL_REDIRECT=2": replace(FRESH, canonical_redirect=2),
    "shop domain 127.0.0.1:8082, physical_uri /shop/": replace(FRESH, urls=(ShopUrl("127.0.0.1:8082", "/shop/"),)),
    "shop domain www.local.test plus a second": replace(
        FRESH, urls=(ShopUrl("www.local.test"), ShopUrl("agent.local.test", main=False))
    ),
    "shop domain www.local.test (no port)": replace(FRESH, urls=(ShopUrl("www.local.test"),)),
    "shop domain 127.0.0.1 (no port)": replace(FRESH, urls=(ShopUrl("127.0.0.1"),)),
    "multistore: shop 1 on /, shop 2 (Shop B2B) on /b2b/; keys tied to shop 1 only": TWO_SHOPS,
    "multistore: shop 1 on /, shop 2 (Shop B2B) on /b2b/; full key tied to both": replace(TWO_SHOPS, keys=BOTH_SHOPS),
    "19 demo products plus 1,000 products made by POST": FRESH,
    "our own catalogue": OWN,
    "our own catalogue, shop in /boutique/": replace(OWN, urls=(ShopUrl("shop.example.test", "/boutique/"),)),
    "our own catalogue, webservice off": replace(OWN, webservice=False),
}


def config_of(setup: str) -> StoreConfig:
    """The settings that the text of a setup describes; the longest beginning that fits decides."""
    fitting = [text for text in SETUPS if setup.startswith(text)]
    assert fitting, f"no settings for the setup {setup!r}"
    return SETUPS[max(fitting, key=len)]
