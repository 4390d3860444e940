"""A real server watches: it tests by itself, and tells of certificates, keys and agents that come to their end.

The store speaks TLS behind a private CA, and is reached through an agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.demo.store import ApiKey, Front, SampleStore, ShopUrl, StoreConfig
from tests.kit.agent_process import AgentProcess
from tests.kit.certificates import CertificateAuthority, Validity
from tests.kit.server_process import ServerProcess

KEY = "SAMPLEKEY0SAMPLEKEY0SAMPLEKEY012"
WATCH = {"INTEGRATION_SERVER_WATCH__TEST_INTERVAL_S": "2", "INTEGRATION_SERVER_WATCH__OFFLINE_AFTER_S": "1"}
ENDS_IN_DAYS = 6.5


@asynccontextmanager
async def shop(config: StoreConfig) -> AsyncIterator[SampleStore]:
    store = SampleStore(config)
    await store.start()
    try:
        yield store
    finally:
        await store.close()


async def among(server: ServerProcess, path: tuple[str, ...], wanted: Callable[[Any], bool]) -> Any:
    """The newest item of a list that is wanted, once there is one."""
    async with asyncio.timeout(30):
        while True:
            for item in await server.api("get", *path):
                if wanted(item):
                    return item
            await asyncio.sleep(0.1)


async def told(server: ServerProcess, event: str) -> Any:
    """The notice of an event, once it is there."""
    return await among(server, ("notices",), lambda notice: notice["event"] == event)


async def test_what_a_server_finds_out_and_tells_by_itself(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    certificate, key = authority.issue("127.0.0.1", validity=Validity(ends_days=ENDS_IN_DAYS))
    front = Front(certificate=certificate, certificate_key=key)
    config = StoreConfig(keys=(ApiKey(KEY),), urls=(ShopUrl(physical_uri="/shop/"),), front=front)
    async with ServerProcess(tmp_path / "data", environment=WATCH) as server, shop(config) as store:
        made = await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
        url = f"https://127.0.0.1:{store.port}/shop/api/"
        wish = {"mode": "on-premise", "agent": "lyon", "store_url": url, "api_key": KEY}
        await server.api("post", "connections", name="shop", **wish)
        toml = f'[[stores]]\nurl = "{url}"\nca_file = "{authority.ca_file}"\n'
        async with AgentProcess(tmp_path / "agent", toml, made["access_token"]) as agent:
            await agent.event("tunnel.ready")
            await _tests_by_itself(server)
            without_key = replace(config, port=store.port, keys=())
            await store.close()
            await _a_key_that_was_deleted(server, without_key)
        notice = await told(server, "agent.offline")
        assert notice["sentence"].startswith('The agent "lyon" is offline')


async def _tests_by_itself(server: ServerProcess) -> None:
    """In turn, and when the tunnel is back; and each time it sees when the certificate ends, which it tells once."""
    for cause in ("schedule", "tunnel"):
        test = await among(server, ("connections", "shop", "tests"), lambda test: test["cause"] == cause)  # noqa: B023 - it is over by then
        assert (test["ok"], test["verdict"]) == (True, "ok")
        (warning,) = [step for step in test["steps"] if step["state"] == "warning"]
        assert (warning["layer"], warning["verdict"]) == ("tls", "certificate_ends")
    notices = await server.api("get", "notices")
    assert [notice["event"] for notice in notices] == ["connection.certificate_ends"]
    assert "renew it on the store's web server" in notices[0]["sentence"]


async def _a_key_that_was_deleted(server: ServerProcess, config: StoreConfig) -> None:
    """The shop still answers, and knows the key no more."""
    async with shop(config):
        notice = await told(server, "connection.key_failed")
    assert "does not know the key" in notice["sentence"]
    assert "Advanced parameters > Webservice" in notice["sentence"]
    assert KEY not in repr(notice)
