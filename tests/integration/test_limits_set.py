"""Limits that are set: of silence, kept by each side; of stores, kept at a reload."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.kit.agent_process import AgentProcess
from tests.kit.installation import agent_status, installation
from tests.kit.server_process import ServerProcess
from tests.kit.until import until

PATIENCE_S = 30.0


async def test_a_reload_with_too_many_stores_changes_nothing(tmp_path: Path) -> None:
    async with asyncio.timeout(90), installation(tmp_path) as running:
        before = (await running.agent_report())["stores"]
        stores = "".join(f'[[stores]]\nurl = "http://10.0.0.5/{index}/api/"\n' for index in range(513))
        running.agent.write(stores)
        running.agent.signal(signal.SIGHUP)
        refused = await running.agent.event("settings.refused")
        assert "one agent can serve 512 at most" in refused["detail"]
        assert (await running.agent_report())["stores"] == before
        running.agent.write(stores[: stores.rindex("[[stores]]")])
        running.agent.signal(signal.SIGHUP)
        assert (await running.agent.event("settings.reloaded"))["stores"] == 512
        async with asyncio.timeout(PATIENCE_S):
            while {len(tunnel["stores"]) for tunnel in (await running.server_report())["tunnels"]} != {512}:
                pass
        assert (await running.agent_report())["state"] == "ready"


@pytest.mark.parametrize("side", ["agent", "server"])
async def test_a_limit_of_silence_of_two_seconds_is_kept_by_each_side(tmp_path: Path, side: str) -> None:
    """The other side is stopped and says nothing; without the setting it would take 25 s."""
    short = "[heartbeat]\nsilence_s = 2\n" if side == "agent" else ""
    environment = {"INTEGRATION_SERVER_SSH__SILENCE_TIMEOUT_S": "2"} if side == "server" else {}
    async with asyncio.timeout(90), ServerProcess(tmp_path / "data", environment=environment) as server:
        made = await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
        async with AgentProcess(tmp_path / "agent", f"tunnels = 1\n{short}", made["access_token"]) as agent:
            await agent.event("tunnel.ready")
            # It is quiet, and lives on: the heartbeats come often enough for the short limit.
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    (tunnel,) = (await agent_status(agent.config, "--json"))[1]["tunnels"]
                    assert (tunnel["state"], tunnel["attempts"]) == ("ready", 1)
                    if tunnel["since_s"] > 4:
                        break
            stopped = server.pid if side == "agent" else agent.pid
            os.kill(stopped, signal.SIGSTOP)
            began = asyncio.get_running_loop().time()
            try:
                if side == "agent":
                    assert (await agent.event("tunnel.lost"))["reason"] == "silent"
                else:
                    await until(lambda: any(event["event"] == "tunnel.silent" for event in server.log))
            finally:
                os.kill(stopped, signal.SIGCONT)
            assert asyncio.get_running_loop().time() - began < 15
            await agent.event("tunnel.ready", 2)
