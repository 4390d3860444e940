"""A real agent and what its server does with it: disabled, its token replaced, deleted; and the checks it makes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.server.cli.admin import RefusedError
from tests.kit.agent_process import AgentProcess
from tests.kit.sample_store import KEY, READ_KEY, running
from tests.kit.server_process import ServerProcess

pytestmark = pytest.mark.slow

WITHIN_S = 5.0


@dataclass
class Site:
    """A server, a sample store, and one agent with both tunnels up."""

    server: ServerProcess
    agent: AgentProcess
    token: str
    store_port: int

    async def state(self) -> str:
        found: dict[str, Any] = await self.server.api("get", "agents", "lyon")
        return str(found["state"])

    async def until(self, state: str, within_s: float = WITHIN_S) -> float:
        """Until the agent is in this state; how long that took."""
        began = time.monotonic()
        async with asyncio.timeout(within_s):
            while await self.state() != state:  # noqa: ASYNC110 - the server tells nobody over this socket
                await asyncio.sleep(0.02)
        return time.monotonic() - began


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running() as store, ServerProcess(tmp_path / "data") as server:
        made = await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
        url = f"http://127.0.0.1:{store.port}/api/"
        wish = {"name": "shop", "mode": "on-premise", "agent": "lyon", "store_url": url, "api_key": KEY}
        await server.api("post", "connections", **wish)
        toml = f'[[stores]]\nurl = "{url}"\nmethods = "write"\n[reconnect]\nmax_s = 1\n'
        async with AgentProcess(tmp_path / "agent", toml, made["access_token"]) as agent:
            await agent.event("tunnel.ready", 2)
            yield Site(server, agent, made["access_token"], store.port)


async def test_a_disabled_agent_is_cut_waits_and_comes_back_by_itself(site: Site) -> None:
    await site.server.api("post", "agents", "lyon", "disable")
    ended = await site.agent.event("tunnel.refused")
    assert ended["reason"] == "disabled"
    assert "an admin can enable it" in ended["detail"]
    assert await site.state() == "disabled"
    tested = await site.server.api("post", "connections", "shop", "test")
    assert (tested["verdict"], tested["steps"][-1]["layer"]) == ("agent_disabled", "agent")
    ready = sum(event["event"] == "tunnel.ready" for event in site.agent.events)
    await site.server.api("post", "agents", "lyon", "enable")
    await site.agent.event("tunnel.ready", ready + 1)
    assert site.agent._process.returncode is None


async def test_tunnels_of_a_replaced_token_are_cut_when_its_grace_ends(site: Site) -> None:
    rotated = await site.server.api("post", "agents", "lyon", "rotate", grace_period_s=1)
    assert await site.state() == "online"  # the new token does not disturb the old one
    await site.until("offline")
    refused = await site.agent.event("tunnel.refused")
    assert refused["reason"] in ("revoked", "token_refused")
    assert rotated["access_token"] != site.token


async def test_ending_old_tokens_keeps_the_tunnels_of_the_new_one(site: Site, tmp_path: Path) -> None:
    await site.server.api("patch", "agents", "lyon", max_instances=2)
    rotated = await site.server.api("post", "agents", "lyon", "rotate")
    toml = f'[[stores]]\nurl = "http://127.0.0.1:{site.store_port}/api/"\n'
    async with AgentProcess(tmp_path / "second", toml, rotated["access_token"]) as second:
        await second.event("tunnel.ready", 2)
        assert len((await site.server.api("get", "agents", "lyon"))["client_details"]["instances"]) == 2
        shown = await site.server.api("post", "agents", "lyon", "end-old-tokens")
        assert shown["old_token_until"] is None
        await site.agent.event("tunnel.refused")
        left = (await site.server.api("get", "agents", "lyon"))["client_details"]["instances"]
        assert [each["tunnels"] for each in left] == [2]
        assert not any(event["event"] == "tunnel.refused" for event in second.events)


async def test_revoking_cuts_within_the_limit(site: Site) -> None:
    await site.server.api("post", "agents", "lyon", "revoke")
    assert await site.until("revoked") < WITHIN_S
    ended = await site.agent.event("tunnel.refused")
    assert ended["reason"] == "revoked"


async def test_a_deleted_agent_is_cut(site: Site) -> None:
    with pytest.raises(RefusedError, match="is used by shop"):
        await site.server.api("delete", "agents", "lyon")
    await site.server.api("delete", "connections", "shop")
    assert await site.server.api("delete", "agents", "lyon") == {"name": "lyon"}
    assert (await site.agent.event("tunnel.refused"))["reason"] in ("revoked", "token_refused")


async def test_the_agent_looks_layer_by_layer_and_its_log_has_no_key(site: Site) -> None:
    tested = await site.server.api("post", "connections", "shop", "test")
    assert tested["ok"], tested
    layers = ["agent", "policy", "dns", "tcp", "tls", "http", "webservice", "key", "permissions"]
    assert [step["layer"] for step in tested["steps"]] == layers
    assert tested["prestashop_version"] == "8.2.4"
    assert tested["permissions"]["products"] == ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    checked = await site.agent.event("store.checked")
    assert checked["verdict"] == "ok"
    assert KEY not in site.agent.log
    history = await site.server.api("get", "connections", "shop", "tests")
    assert [(each["ok"], each["cause"]) for each in history] == [(True, "person")]


async def test_an_unsaved_connection_is_tested_and_not_kept(site: Site) -> None:
    url = f"http://127.0.0.1:{site.store_port}/api/"
    wish = {"name": "new", "mode": "on-premise", "agent": "lyon", "store_url": url, "api_key": READ_KEY}
    tested = await site.server.api("post", "connections", "test", **wish)
    assert (tested["ok"], tested["connection_id"], tested["resource_count"]) == (True, "", 1)
    wrong = await site.server.api("post", "connections", "test", **{**wish, "api_key": "W" * 32})
    assert (wrong["verdict"], wrong["steps"][-1]["layer"]) == ("key_unknown", "key")
    assert [each["slug"] for each in await site.server.api("get", "connections")] == ["shop"]


async def test_a_store_that_the_agent_does_not_open_is_not_asked(site: Site) -> None:
    wish = {"name": "x", "mode": "on-premise", "agent": "lyon", "store_url": "http://127.0.0.1:9/api/", "api_key": KEY}
    tested = await site.server.api("post", "connections", "test", **wish)
    assert (tested["verdict"], tested["steps"][-1]["layer"]) == ("policy_denied", "policy")
    assert "prestashop-agent stores add http://127.0.0.1:" in tested["remedy"]
