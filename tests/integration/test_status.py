"""`status` of both programs beside real processes: what it shows, and that asking leaves no trace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from agent.local_socket import CONNECTIONS_MAX
from agent.tunnel.acceleration import SWITCHED_OFF
from tests.kit import fast_path
from tests.kit.installation import HeldStore, Installation, agent_status, installation
from tests.kit.local_page import local_page
from tests.kit.raw_client import RawClient

PATIENCE_S = 30.0
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def measured(running: Installation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both reports, once the round trip of each tunnel is known on both sides."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            agent, server = await running.agent_report(), await running.server_report()
            tunnels = [*agent["tunnels"], *server["tunnels"]]
            if len(tunnels) == 4 and all(tunnel["round_trip_ms"] is not None for tunnel in tunnels):
                return agent, server


async def test_both_sides_show_round_trip_and_heartbeat_at_once(tmp_path: Path) -> None:
    async with asyncio.timeout(60), installation(tmp_path) as running:
        agent, server = await measured(running)
        # The default heartbeat comes every 10 s: what is known sooner was not waited for.
        assert max(tunnel["since_s"] for tunnel in agent["tunnels"]) < 9.5
        assert (agent["state"], agent["pid"]) == ("ready", running.agent.pid)
        assert agent["agent_id"] == server["tunnels"][0]["agent_id"]
        assert agent["instance_id"] == server["tunnels"][0]["instance_id"]
        assert [tunnel["index"] for tunnel in agent["tunnels"]] == [0, 1]
        for tunnel in agent["tunnels"]:
            assert (tunnel["state"], tunnel["server"]) == ("ready", running.server.ssh_address)
            assert tunnel["server_version"] == server["version"]
            assert 0 < tunnel["round_trip_ms"] < 10_000
            assert 0 <= tunnel["last_heartbeat_age_s"] <= tunnel["since_s"]
            assert tunnel["last_ending"] is tunnel["last_ending_age_s"] is tunnel["down_s"] is tunnel["proxy"] is None
            assert tunnel["next_attempt_in_s"] is None
        assert (server["state"], server["pid"], server["draining"]) == ("ready", running.server.pid, False)
        assert (server["agents_registered"], server["agents_online"], server["ssh_connections"]) == (1, 1, 2)
        assert server["listeners"]["ssh"]["port"] == running.server.ready["ssh"]["port"]
        assert server["listeners"]["gateway"]["port"] == running.server.gateway_port
        for tunnel in server["tunnels"]:
            assert (tunnel["agent_name"], tunnel["host"]) == ("lyon", socket.gethostname())
            assert 0 < tunnel["round_trip_ms"] < 10_000
        for tunnel in (*agent["tunnels"], *server["tunnels"]):  # hello and heartbeats took it, where it is on
            assert tunnel["fast_path"] is fast_path.IS_ON
            assert tunnel["fast_path_reason"] == (None if fast_path.IS_ON else SWITCHED_OFF)
            assert (tunnel["fast_path_packets_sent"] > 0) is fast_path.IS_ON
            assert (tunnel["fast_path_packets_received"] > 0) is fast_path.IS_ON
        for ready in (event for event in running.agent.events if event["event"] == "tunnel.ready"):
            assert ready["fast_path"] is fast_path.IS_ON
        for report in (agent, server):
            assert {"tasks", "open_files", "threads", "resident_bytes"} == set(report["process"])
            assert all(report["process"].values())
            assert running.token[60:100] not in json.dumps(report)

        code, page = await agent_status(running.agent.config)
        assert code == 0
        assert "is ready" in page.splitlines()[0]
        assert page.count("round trip ") == 2
        assert "\x1b" not in page
        shown = await running.server.command("status")
        assert (shown.code, shown.err) == (0, "")
        assert "1 of 1 online, 2 tunnels up" in shown.out
        assert (await running.server.command("status", "--json")).json["pid"] == running.server.pid

        assert server["offline_agents"] == []
        await running.server.api("post", "agents", name="paris", public_ssh_address=running.server.ssh_address)
        shown = await running.server.command("status", "--json")
        assert shown.json["offline_agents"] == [{"name": "paris", "last_heartbeat_at": None, "host": None}]
        assert (shown.code, shown.json["state"]) == (0, "ready")
        shown = await running.server.command("status")
        assert (shown.code, "Offline     paris: never connected" in shown.out) == (0, True)


async def test_an_exchange_is_seen_while_it_runs_and_leaves_nothing(tmp_path: Path) -> None:
    held = HeldStore()
    async with asyncio.timeout(90), installation(tmp_path, held.script) as running:
        held.answer.set()
        async with RawClient(running.server.gateway_port) as client:  # the warm channels of the pools come to stay
            traced = f"X-Request-Id: of-the-caller\r\nTraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n"
            await running.request(client, traced.encode())
            assert (await client.answer()).status == 200
        done = await running.agent.event("exchange.done")
        (noted,) = await running.server.api("get", "exchanges")
        for line in (done, noted):
            assert (line["request_id"], line["trace_id"]) == ("of-the-caller", TRACE)
        held.answer.clear()
        held.asked.clear()
        await measured(running)
        agent, server = await quiet(running)
        assert agent["exchanges"] == {"in_flight": 0, "ended": 1, "failed": 0}
        assert agent["store_connections"] == {"idle": 1, "busy": 0}
        assert agent["sessions"] == sum(tunnel["open_channels"] for tunnel in agent["tunnels"])
        assert agent["sessions"] == server["channels"]["idle"]

        async with RawClient(running.server.gateway_port) as client:
            await running.request(client)
            await held.asked.wait()
            busy_agent, busy_server = await running.agent_report(), await running.server_report()
            assert busy_agent["exchanges"]["in_flight"] == 1
            assert busy_agent["store_connections"] == {"idle": 0, "busy": 1}
            assert busy_agent["stores"][0]["busy"] == 1
            assert busy_server["gateway"] == {"clients": 1, "in_flight": 1, "parked": 0}
            assert busy_server["channels"]["busy"] == 1
            assert sum(tunnel["in_flight"] for tunnel in busy_server["tunnels"]) == 1
            assert busy_server["process"]["open_files"] == server["process"]["open_files"] + 1
            held.answer.set()
            assert (await client.answer()).status == 200
        runtime_dir = running.agent.config.parent / "run"
        assert await local_page(runtime_dir, "readyz") == "ok\n"
        metrics = await local_page(runtime_dir, "metrics")
        exchanges = r'^prestashop_agent_exchanges_total\{method="GET",status="2xx",store="http://.*/"\} 2\.0$'
        assert re.search(exchanges, metrics, re.MULTILINE)
        assert '\nprestashop_agent_tunnel_up{tunnel="1"} 1.0\n' in metrics
        left_agent, left_server = await quiet(running)
        assert left_agent["exchanges"] == {"in_flight": 0, "ended": 2, "failed": 0}
        for before, after in ((agent, left_agent), (server, left_server)):
            assert after["process"]["tasks"] == before["process"]["tasks"]
            assert after["process"]["open_files"] == before["process"]["open_files"]


async def quiet(running: Installation) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both reports, once no client is connected and the channels are as many on both sides."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            agent, server = await running.agent_report(), await running.server_report()
            channels = server["channels"]
            if not server["gateway"]["clients"] and (channels["idle"], channels["busy"]) == (agent["sessions"], 0):
                return agent, server


async def test_asking_leaves_no_trace(tmp_path: Path) -> None:
    async with asyncio.timeout(90), installation(tmp_path) as running:
        await measured(running)
        figures = []
        for _ in range(3):
            agent, server = await running.agent_report(), await running.server_report()
            figures.append([(one["process"]["tasks"], one["process"]["open_files"]) for one in (agent, server)])
        assert figures[0] == figures[1] == figures[2]
        # What asks is not counted, however much asks at once.
        path = str(running.agent.directory / "run" / "agent.sock")
        idlers = [await asyncio.open_unix_connection(path) for _ in range(5)]
        agent = await running.agent_report()
        assert (agent["process"]["tasks"], agent["process"]["open_files"]) == figures[0][0]
        for _, writer in idlers:
            writer.close()


async def test_hostile_clients_do_not_disturb_the_agent(tmp_path: Path) -> None:
    async with asyncio.timeout(90), installation(tmp_path) as running:
        await measured(running)
        before = await running.agent_report()
        path = str(running.agent.directory / "run" / "agent.sock")
        crowd = [await asyncio.open_unix_connection(path) for _ in range(3 * CONNECTIONS_MAX)]
        for number, (_, writer) in enumerate(crowd):
            writer.write([b"", b"x" * 100_000, b'{"command":', b"\xff\x00" * 3000][number % 4])

        async def end(reader: asyncio.StreamReader) -> None:
            with contextlib.suppress(OSError):
                await reader.read()

        await asyncio.gather(*(end(reader) for reader, _ in crowd))  # it ends every one of them, in 2 s
        for _, writer in crowd:
            writer.transport.abort()
        after = await running.agent_report()
        assert after["process"]["open_files"] == before["process"]["open_files"]
        assert after["process"]["tasks"] == before["process"]["tasks"]
        assert [tunnel["state"] for tunnel in after["tunnels"]] == ["ready", "ready"]
        async with RawClient(running.server.gateway_port) as client:
            await running.request(client)
            assert (await client.answer()).status == 200


@pytest.mark.parametrize("signalled", ["agent", "server"])
async def test_draining_is_shown_and_is_1(tmp_path: Path, signalled: str) -> None:
    held = HeldStore()
    async with (
        asyncio.timeout(90),
        installation(tmp_path, held.script) as running,
        RawClient(running.server.gateway_port) as client,
    ):
        await running.request(client)
        await held.asked.wait()
        os.kill(running.agent.pid if signalled == "agent" else running.server.pid, signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if signalled == "agent":
                    code, report = await agent_status(running.agent.config, "--json")
                else:
                    outcome = await running.server.command("status", "--json")
                    code, report = outcome.code, outcome.json
                if report["state"] == "draining":
                    break
        assert code == 1
        if signalled == "agent":
            page = (await agent_status(running.agent.config))[1]
            assert page.count("serves on until what runs has ended") == 2
        held.answer.set()
        assert (await client.answer()).status == 200
