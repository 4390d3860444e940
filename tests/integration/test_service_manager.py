"""Both programs as processes under a service manager: ready, sentences, reload, signs of life, the end."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.integration.test_daemon import HeldStore, answered, ask, table
from tests.kit.agent_process import AgentProcess
from tests.kit.notify_manager import NotifyListener
from tests.kit.scripted_store import ScriptedStore
from tests.kit.server_process import ServerProcess
from tests.kit.ssh_servers import tunnel_server


async def test_the_agent_tells_how_it_does(tmp_path: Path) -> None:
    held = HeldStore()
    async with NotifyListener(tmp_path) as manager, tunnel_server() as server, ScriptedStore(held.script) as store:
        token = server.token(server.agents.add()).encode()
        await server.close()  # ready does not wait for the server
        process = AgentProcess(tmp_path / "agent", table(store.port), token, environ=manager.environ(watchdog_s=1.0))
        async with process:
            await manager.message(lambda said: said.get("READY") == "1")
            away = "waiting for the server: unreachable, next attempt in "
            await manager.message(lambda said: said.get("STATUS", "").startswith(away))
            await server.start()
            up = f"2 of 2 tunnels up to 127.0.0.1:{server.port}, "
            await manager.message(lambda said: said.get("STATUS") == f"{up}0 exchanges in flight")
            session = await ask((await server.wait_tunnels(2))[0], store.port)
            await manager.message(lambda said: said.get("STATUS") == f"{up}1 exchange in flight")

            process.signal(signal.SIGHUP)
            place = await manager.message(lambda said: said.get("RELOADING") == "1")
            assert int(manager.messages[place]["MONOTONIC_USEC"]) > 0
            await manager.message(lambda said: said.get("READY") == "1", after=place)
            process.write("tunnels_ = 1")
            process.signal(signal.SIGHUP)
            place = await manager.message(lambda said: said.get("RELOADING") == "1", after=place + 1)
            await manager.message(lambda said: said.get("READY") == "1", after=place)
            await process.event("settings.refused")

            pings = len(manager.said("WATCHDOG"))
            await manager.message(lambda said: "WATCHDOG" in said, after=len(manager.messages))
            assert pings >= 1
            process.signal(signal.SIGTERM)
            place = await manager.message(lambda said: said.get("STOPPING") == "1")
            assert manager.messages[place]["STATUS"] == "draining, 1 in flight"
            held.answer.set()
            await answered(session, b"<late/>")
            assert await process.ended() == 0
        assert token not in str(manager.messages)


async def test_a_process_that_stands_still_leaves_where_it_stood(tmp_path: Path) -> None:
    """What the manager's SIGABRT is for; an agent that nobody watches has no such handler."""
    async with NotifyListener(tmp_path) as manager, tunnel_server() as server:
        token = server.token(server.agents.add()).encode()
        async with AgentProcess(tmp_path / "agent", "", token, environ=manager.environ(watchdog_s=30.0)) as process:
            await manager.message(lambda said: said.get("READY") == "1")
            process.signal(signal.SIGABRT)
            assert await process.ended() == -signal.SIGABRT
            assert "Fatal Python error: Aborted" in process.log


async def test_the_server_tells_how_it_does(tmp_path: Path) -> None:
    async with NotifyListener() as manager:
        environ = manager.environ(watchdog_s=1.0)
        async with ServerProcess(tmp_path / "data", environment=environ) as server:
            place = await manager.message(lambda said: said.get("READY") == "1")
            assert manager.messages[place]["STATUS"] == "0 agents online, 0 tunnels, 0 in flight"
            created = await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
            async with AgentProcess(tmp_path / "agent", "", created["access_token"]):
                up = "1 agent online, 2 tunnels, 0 in flight"
                await manager.message(lambda said: said.get("STATUS") == up)
            await manager.message(lambda said: "WATCHDOG" in said, after=len(manager.messages))
            assert await server.stop() == 0
        assert manager.said("STOPPING") == ["1"]
