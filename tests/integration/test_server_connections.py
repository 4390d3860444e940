"""Connections of a real server process to sample stores: what `connections test` says, and which address is taken.

One agent process and mode cloud reach the same stores, and must come to the same verdicts.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.demo.store import ApiKey, Front, SampleStore, ShopUrl, StoreConfig
from agent.server.cli.admin import RefusedError
from tests.kit.agent_process import AgentProcess
from tests.kit.server_process import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "SAMPLEKEY0SAMPLEKEY0SAMPLEKEY012"
IDLE_KEY = "IDLEKEY00IDLEKEY00IDLEKEY00IDLE0"
WRONG_KEY = "WRONGKEY0WRONGKEY0WRONGKEY0WRONG"
KEYS = (ApiKey(KEY), ApiKey(IDLE_KEY, grants={}))

STORES = {
    "good": StoreConfig(keys=KEYS, urls=(ShopUrl(physical_uri="/shop/"),)),
    "elsewhere": StoreConfig(keys=KEYS, urls=(ShopUrl(domain="www.shop.example"),)),
    "switched-off": StoreConfig(keys=KEYS, webservice=False),
    "loses-header": StoreConfig(keys=KEYS, front=Front(style="fcgi")),
}


@dataclass
class Site:
    """A server with an agent, and the addresses of the stores by name."""

    server: ServerProcess
    urls: dict[str, str]

    async def connect(self, name: str, url: str, key: str = KEY, *, mode: str = "cloud", **more: str) -> Any:
        """Create a connection, and give the outcome of its test."""
        agent = "lyon" if mode == "on-premise" else None
        made = await self.server.api(
            "post", "connections", name=name, mode=mode, agent=agent, store_url=url, api_key=key, **more
        )
        assert key not in json.dumps(made)
        tested = await self.server.api("post", "connections", made["slug"], "test")
        assert key not in json.dumps(tested)
        return tested


async def sites(folder: Path) -> AsyncIterator[Site]:
    """A running site, once."""
    async with AsyncExitStack() as stack:
        urls = {"nowhere": "http://127.0.0.1:9/api/"}  # the discard port: nothing answers there
        for name, config in STORES.items():
            store = SampleStore(config)
            await store.start()
            stack.push_async_callback(store.close)
            urls[name] = f"http://127.0.0.1:{store.port}{config.urls[0].physical_uri}api/"
        server = ServerProcess(folder / "data", ("--allow-private-origin", "127.0.0.0/8"))
        await stack.enter_async_context(server)
        made = await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
        toml = "".join(f'[[stores]]\nurl = "{url}"\n' for url in urls.values())
        agent = AgentProcess(folder / "agent", toml, made["access_token"])
        await stack.enter_async_context(agent)
        await agent.event("tunnel.ready")
        yield Site(server, urls)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One site for the tests that only add connections."""
    async for running in sites(tmp_path_factory.mktemp("site")):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def own_site(tmp_path: Path) -> AsyncIterator[Site]:
    """A site that a test may break."""
    async for running in sites(tmp_path):
        yield running


@pytest.mark.parametrize("mode", ["cloud", "on-premise"])
@pytest.mark.parametrize(
    ("store", "key", "more", "verdict"),
    [
        ("good", KEY, {}, "ok"),
        ("good", WRONG_KEY, {}, "key_unknown"),
        ("good", IDLE_KEY, {}, "key_without_permission"),
        ("elsewhere", KEY, {}, "wrong_host"),
        ("switched-off", KEY, {}, "webservice_off"),
        ("loses-header", KEY, {}, "header_lost"),
        ("loses-header", KEY, {"key_in": "ws_key"}, "ok"),
        ("nowhere", KEY, {}, "store_unreachable"),
    ],
)
async def test_each_fault_of_a_store_is_named(
    site: Site, mode: str, store: str, key: str, more: dict[str, str], verdict: str
) -> None:
    tested = await site.connect(f"{mode} {store} {verdict}", site.urls[store], key, mode=mode, **more)
    assert (tested["verdict"], tested["ok"]) == (verdict, verdict == "ok")
    assert "127.0.0.1:9 refused" in tested["finding"] or store != "nowhere"
    assert not set(re.split(r"(?<=[.;]) ", tested["finding"])) & set(re.split(r"(?<=[.;]) ", tested["remedy"]))
    assert verdict not in tested["finding"] or tested["ok"], "the name of the fault is said once, as the verdict"


async def test_the_shop_host_is_what_the_store_is_asked_as(site: Site) -> None:
    tested = await site.connect("named", site.urls["elsewhere"], shop_host="WWW.shop.example")
    assert tested["verdict"] == "ok"


async def test_a_verdict_comes_with_version_count_and_names(site: Site) -> None:
    good = await site.connect("good", site.urls["good"])
    assert good["prestashop_version"] == "8.2.4"
    assert good["resource_count"] > 10
    assert '"www.shop.example"' in (await site.connect("wrong", site.urls["elsewhere"]))["finding"]
    said = await site.server.command("connections", "test", "wrong")
    assert said.code == 1
    assert said.out.splitlines()[0].startswith("wrong: FAILED (wrong_host), ")
    assert "What to do: If www.shop.example is the shop's own domain" in said.out
    assert (await site.server.command("connections", "test", "good")).code == 0


@pytest.mark.parametrize("mode", ["cloud", "on-premise"])
async def test_the_store_decides_what_an_address_means(site: Site, mode: str) -> None:
    shop = site.urls["good"].removesuffix("api/")
    for number, address in enumerate((shop, f"{shop}my-own-folder/")):
        name = f"shop {mode} {number}"
        assert (await site.connect(name, address, mode=mode))["verdict"] == "ok"
        assert (await site.server.api("get", "connections", name))["webservice_url"] == site.urls["good"]


async def test_when_no_reading_answers_all_are_named(site: Site) -> None:
    with pytest.raises(RefusedError) as refused:
        await site.connect("x", site.urls["switched-off"].replace("/api/", "/a/b/"))
    origin = site.urls["switched-off"].removesuffix("api/")
    assert f"{origin}a/b/api/: wrong_folder, {origin}a/api/: wrong_folder" in str(refused.value)


async def test_an_edited_connection_keeps_its_address_and_asks_the_new_store_with_the_new_key(site: Site) -> None:
    assert (await site.connect("edited", site.urls["switched-off"], WRONG_KEY))["verdict"] == "webservice_off"
    key_file = ("--api-key-file", "-")
    steps = (
        (("--store-url", site.urls["good"]), WRONG_KEY, "key_unknown"),
        ((), KEY, "ok"),
        (("--mode", "on-premise", "--agent", "lyon"), KEY, "ok"),
        (
            ("--mode", "cloud", "--store-url", site.urls["good"].removesuffix("api/")),
            IDLE_KEY,
            "key_without_permission",
        ),
    )
    for options, key, verdict in steps:
        said = await site.server.command("connections", "update", "edited", *options, *key_file, "--json", stdin=key)
        assert (said.code, said.json["slug"], key in said.out) == (0, "edited", False)
        assert (await site.server.api("post", "connections", "edited", "test"))["verdict"] == verdict


async def test_an_agent_that_does_not_open_the_store_or_is_revoked(own_site: Site) -> None:
    not_opened = await own_site.connect("closed", "http://127.0.0.1:10/api/", mode="on-premise")
    assert not_opened["verdict"] == "policy_denied"
    assert (await own_site.connect("open", own_site.urls["good"], mode="on-premise"))["ok"]
    assert (await own_site.server.api("post", "agents", "lyon", "revoke"))["tunnels"] == 0
    offline = await own_site.server.api("post", "connections", "open", "test")
    assert (offline["verdict"], "is revoked" in offline["finding"]) == ("agent_revoked", True)


async def test_what_an_agent_said_outlives_a_restart(own_site: Site) -> None:
    listed = (await own_site.server.api("get", "agents"))[0]
    assert (listed["state"], listed["tunnels"] > 0) == ("online", True)
    await own_site.server.stop()
    async with ServerProcess(own_site.server.data_dir) as again:
        kept = (await again.api("get", "agents"))[0]
    assert kept["last_heartbeat_at"] >= listed["last_heartbeat_at"]
    assert kept["version"] == listed["version"]
    assert {f"http://127.0.0.1:{grant['port']}{grant['base_path']}api/" for grant in kept["grants"]} == set(
        own_site.urls.values()
    )
