"""prestapyt, a PrestaShop client that nobody here wrote, works through the gateway with another URL and key."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any

import pytest

from agent.demo.store import ApiKey, SampleStore, StoreConfig
from tests.kit.cluster import API_KEY, CLIENT_KEY, LOOPBACK, Cluster, Link, Mode, loopback_store

# The library warns of every PrestaShop above 1.7.8, with a URL and without.
pytestmark = pytest.mark.filterwarnings("ignore:This library may not be compatible:UserWarning")


@dataclass(frozen=True)
class Seen:
    """What an integration saw of a shop."""

    product: dict[str, Any]
    found: list[int]
    created_id: str
    created: dict[str, Any]
    edited: dict[str, Any]
    deleted: bool
    after: str


def _integrate(url: str, key: str, last_name: str) -> Seen:
    """An integration as one would write it: read, filtered search, create, edit, delete. Blocking."""
    from prestapyt import PrestaShopWebServiceDict, PrestaShopWebServiceError

    shop = PrestaShopWebServiceDict(url, key)
    product = shop.get("products", 1)["product"]
    reference = product["reference"]
    found = shop.search("products", options={"filter[reference]": f"[{reference}]"})
    customer = {
        "firstname": "Ada",
        "lastname": last_name,
        "email": f"{last_name.lower()}@example.test",
        "passwd": "correct-horse",
    }
    created = shop.add("customers", {"customer": customer})["prestashop"]["customer"]
    one = shop.get("customers", created["id"])
    one["customer"]["firstname"] = "Grace"
    one["customer"]["passwd"] = "battery-staple"
    edited = shop.edit("customers", one)["prestashop"]["customer"]
    deleted = shop.delete("customers", created["id"])
    try:
        after = str(shop.get("customers", created["id"]))
    except PrestaShopWebServiceError as error:
        after = str(error)
    return Seen(product, found, created["id"], created, edited, deleted, after)


@pytest.mark.parametrize("mode", ["tunnel", "cloud"])
async def test_an_integration_needs_another_url_and_key_and_nothing_else(mode: Mode) -> None:
    store = SampleStore(StoreConfig(keys=(ApiKey(API_KEY),)))
    await store.start()
    name = "Lovelace" + "".join(secrets.choice("abcdefgh") for _ in range(8))
    try:
        async with Cluster([Link("lyon", loopback_store(store.port))], mode=mode) as cluster:
            direct = await asyncio.to_thread(_integrate, f"http://{LOOPBACK}:{store.port}", API_KEY, "Direct")
            gateway = f"http://{LOOPBACK}:{cluster.port}/lyon"
            through = await asyncio.to_thread(_integrate, gateway, CLIENT_KEY, name)
        executed = [(one.method, one.resource) for one in store.executed]
    finally:
        await store.close()
    assert through.product == direct.product
    assert through.found == direct.found == [1]
    assert through.created["lastname"] == name
    assert through.edited["firstname"] == "Grace"
    assert through.edited["id"] == through.created_id != direct.created_id
    assert through.deleted is direct.deleted is True
    assert through.after == direct.after
    half = len(executed) // 2
    assert executed[:half] == executed[half:], "the store carried out the same calls both times"
    assert ("DELETE", "customers") in executed[half:]
