"""A real server watches: it tests a connection when its agent's tunnel is back, and tells of an agent that left."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from agent.demo.store import ApiKey, SampleStore, ShopUrl, StoreConfig
from tests.kit.agent_process import AgentProcess
from tests.kit.server_process import ServerProcess

KEY = "SAMPLEKEY0SAMPLEKEY0SAMPLEKEY012"
WATCH = {"INTEGRATION_SERVER_WATCH__TEST_INTERVAL_S": "86400", "INTEGRATION_SERVER_WATCH__OFFLINE_AFTER_S": "1"}


async def first(server: ServerProcess, *path: str) -> Any:
    """The newest item of a list, when there is one."""
    async with asyncio.timeout(30):
        while True:
            if found := await server.api("get", *path):
                return found[0]
            await asyncio.sleep(0.1)


async def test_a_tunnel_that_is_back_and_an_agent_that_is_gone(tmp_path: Path) -> None:
    store = SampleStore(StoreConfig(keys=(ApiKey(KEY),), urls=(ShopUrl(physical_uri="/shop/"),)))
    await store.start()
    url = f"http://127.0.0.1:{store.port}/shop/api/"
    try:
        async with ServerProcess(tmp_path / "data", environment=WATCH) as server:
            made = await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
            wish = {"mode": "on-premise", "agent": "lyon", "store_url": url, "api_key": KEY}
            await server.api("post", "connections", name="shop", **wish)
            toml = f'[[stores]]\nurl = "{url}"\n'
            async with AgentProcess(tmp_path / "agent", toml, made["access_token"]) as agent:
                await agent.event("tunnel.ready")
                test = await first(server, "connections", "shop", "tests")
                assert (test["cause"], test["ok"]) == ("tunnel", True)
            notice = await first(server, "notices")
            assert notice["event"] == "agent.offline"
            assert notice["sentence"].startswith('The agent "lyon" is offline')
    finally:
        await store.close()
