"""The exit codes of `status`: not running, no tunnel, no permission, no answer, wrong use."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.kit.agent_place import TOKEN
from tests.kit.agent_process import AgentProcess
from tests.kit.installation import agent_command, agent_status
from tests.kit.scripted_proxy import ProxyConnection, ScriptedProxy
from tests.kit.server_process import ServerProcess, run_server_command
from tests.kit.tools import require_tool


async def test_running_without_a_tunnel_is_1_and_says_why(tmp_path: Path) -> None:
    async with AgentProcess(tmp_path, "tunnels = 1\n", TOKEN) as agent:
        await agent.event("tunnel.unreachable")
        code, report = await agent_status(agent.config, "--json")
        assert (code, report["state"]) == (1, "connecting")
        (tunnel,) = report["tunnels"]
        assert tunnel["last_ending"]["reason"] == "unreachable"
        assert "check the address, DNS and the firewall" in tunnel["last_ending"]["detail"]
        assert tunnel["attempts"] >= 1
        assert tunnel["round_trip_ms"] is None
        code, page = await agent_status(agent.config)
        assert code == 1
        assert "check the address" in " ".join(page.split())


async def test_turned_away_by_the_proxy_is_1_and_refused(tmp_path: Path) -> None:
    async def forbid(connection: ProxyConnection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    password = tmp_path / "password"
    password.write_text("hunter2hunter2")
    password.chmod(0o600)
    async with ScriptedProxy(forbid) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        toml = f'tunnels = 2\n[proxy]\nurl = "{url}"\nusername = "lyon"\npassword_file = "{password}"\n'
        async with AgentProcess(tmp_path / "agent", toml, TOKEN) as agent:
            await agent.event("tunnel.refused", 2)
            code, report = await agent_status(agent.config, "--json")
            assert (code, report["state"]) == (1, "refused")
            for tunnel in report["tunnels"]:
                assert tunnel["last_ending"]["reason"] == "proxy_refused"
                assert tunnel["proxy"] == f"{url} (proxy.url)"
                assert 0 <= tunnel["last_ending_age_s"] <= tunnel["down_s"] <= report["uptime_s"]
            assert "hunter2" not in str(report)
            code, page = await agent_status(agent.config)
            assert code == 1
            assert page.splitlines()[0].endswith("is turned away: see below")
            assert page.count("the same as tunnel 0") == 1
            assert page.count(f"by {url}") == 2


async def test_not_running_is_3_with_what_to_do(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f'runtime_dir = "{tmp_path / "run"}"\n')
    plain = await agent_command("--config", str(config), "status", home=tmp_path)
    assert (plain.code, plain.out) == (3, "")
    (line,) = plain.err.splitlines()
    assert line.startswith("prestashop-agent: No prestashop-agent is running here")
    assert "systemctl status prestashop-agent" in line
    assert "prestashop-agent run" in line
    asked = await agent_command("--config", str(config), "status", "--json", home=tmp_path)
    assert (asked.code, asked.json["state"]) == (3, "not_running")
    assert not (tmp_path / "run").exists()
    config.write_text(f'runtime_dir = "/{"x" * 200}"\n')
    assert (await agent_command("--config", str(config), "status", home=tmp_path)).code == 3

    data_dir = tmp_path / "data"
    server = await run_server_command(data_dir, "status")
    assert (server.code, server.out) == (3, "")
    assert "integration-server serve" in server.err
    assert (await run_server_command(data_dir, "status", "--json")).json["state"] == "not_running"
    assert not data_dir.exists()  # unlike the other commands it makes nothing


async def test_a_killed_agent_leaves_a_socket_that_means_nothing(tmp_path: Path) -> None:
    async with AgentProcess(tmp_path, "tunnels = 1\n", TOKEN) as agent:
        await agent.event("tunnel.unreachable")
        agent.signal(signal.SIGKILL)
        await agent.ended()
        assert (tmp_path / "run" / "agent.sock").is_socket()
        assert (await agent_command("--config", str(agent.config), "status", home=tmp_path)).code == 3
    async with AgentProcess(tmp_path, "tunnels = 1\n", TOKEN) as again:
        await again.event("tunnel.unreachable")
        assert (await agent_status(again.config, "--json"))[1]["pid"] == again.pid
        again.signal(signal.SIGTERM)
        assert await again.ended() == 0
        assert not (tmp_path / "run" / "agent.sock").exists()


async def test_two_agents_on_one_runtime_directory(tmp_path: Path) -> None:
    shared = {"PRESTASHOP_AGENT_RUNTIME_DIR": str(tmp_path / "shared")}
    first = AgentProcess(tmp_path / "a", "tunnels = 1\n", TOKEN, environ=shared)
    second = AgentProcess(tmp_path / "b", "tunnels = 1\n", TOKEN, environ=shared)
    async with first, second:
        await asyncio.gather(first.event("tunnel.unreachable"), second.event("tunnel.unreachable"))
        warned = [event for one in (first, second) for event in one.events if event["event"] == "socket.unavailable"]
        assert len(warned) == 1
        assert warned[0]["level"] == "warning"
        assert "Another prestashop-agent answers on the agent's socket" in warned[0]["detail"]
        assert "runtime_dir" in warned[0]["detail"]
        asked = await agent_command("--config", str(first.config), "status", "--json", home=tmp_path, environ=shared)
        assert asked.json["pid"] in {first.pid, second.pid}


async def test_an_agent_that_does_not_answer_is_4(tmp_path: Path) -> None:
    async with AgentProcess(tmp_path, "tunnels = 1\n", TOKEN) as agent:
        await agent.event("tunnel.unreachable")
        agent.signal(signal.SIGSTOP)
        try:
            found = await agent_command("--config", str(agent.config), "status", "--json", home=tmp_path)
        finally:
            agent.signal(signal.SIGCONT)
        assert (found.code, found.json["state"]) == (4, "unknown")
        assert "does not answer within 5 s" in found.err


async def test_without_permission_it_is_4_and_says_how(tmp_path: Path) -> None:
    # Root may enter every directory, unless it gives that up.
    powerless: tuple[str, ...] = ()
    if os.geteuid() == 0:
        powerless = (require_tool("setpriv", "util-linux"), "--bounding-set=-dac_override,-dac_read_search")
    async with AgentProcess(tmp_path, "tunnels = 1\n", TOKEN) as agent:
        await agent.event("tunnel.unreachable")
        (tmp_path / "run").chmod(0)
        try:
            found = await agent_command("--config", str(agent.config), "status", home=tmp_path, prefix=powerless)
        finally:
            (tmp_path / "run").chmod(0o700)
        assert found.code == 4, found.err
        assert "may not be opened by this user: run this command as root (sudo)" in found.err
        assert len(found.err.splitlines()) == 1


async def test_the_other_exit_codes(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("tunnels = 99\n")
    assert (await agent_command("--config", str(config), "status", home=tmp_path)).code == 78
    assert (await agent_command("status", "--jason", home=tmp_path)).code == 2
    helped = await agent_command("status", "--help", home=tmp_path)
    assert helped.code == 0
    for line in ("0  running, at least one tunnel is ready", "3  not running"):
        assert line in helped.out


async def test_a_server_without_its_agents_is_1_and_one_without_agents_is_0(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data") as server:
        assert (await server.command("status")).code == 0
        await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
        shown = await server.command("status")
        assert shown.code == 1
        assert "no agent is connected" in shown.out
