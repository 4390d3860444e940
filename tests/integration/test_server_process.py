"""integration-server as a process: listeners, commands beside it, a second one, its end, and where no secret is."""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.raw_client import RawClient, basic
from tests.kit.server_process import LOOPBACK_LISTENERS, ServerProcess, run_server_command

API_KEY = "CANARY0API0KEY0CANARY0API0KEY012"
SSH = "agents.example.com:2222"
CONNECTION = ("connections", "create", "--name", "Shop Lyon", "--mode", "cloud", "--api-key-file", "-")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
STORE = ("--store-url", "http://127.0.0.1:9/api/")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def server(data_dir: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(data_dir, ("--log-level", "debug", "--public-ssh-address", SSH)) as running:
        yield running


async def status_of(client: RawClient, slug: str, key: str) -> int:
    """Status of a request for the slug's list of resources."""
    await client.send(f"GET /{slug}/api/ HTTP/1.1\r\nHost: g\r\n".encode() + basic(key) + b"\r\n")
    return (await client.answer()).status


async def test_commands_reach_the_gateway_at_once_and_the_end_is_clean(server: ServerProcess, data_dir: Path) -> None:
    made = await server.command(*CONNECTION, *STORE, "--json", stdin=API_KEY)
    assert made.json["gateway_url"] == f"{server.ready['gateway']['url']}/shop-lyon"
    key = (await server.command("client-keys", "create", "--connection", "shop-lyon", "--json")).json["key"]
    async with RawClient(server.gateway_port) as client:
        # Mode cloud does not dial loopback unless told so: 502 shows that the key opened the connection.
        assert await status_of(client, "shop-lyon", key) == 502
        assert (await server.command("connections", "disable", "shop-lyon")).code == 0
        assert await status_of(client, "shop-lyon", key) == 403
        assert (await server.command("connections", "enable", "shop-lyon")).code == 0
        assert await status_of(client, "shop-lyon", key) == 502
        assert "is revoked" in (await server.command("client-keys", "revoke", "shop-lyon")).out
        assert await status_of(client, "shop-lyon", key) == 401
    assert await server.stop(signal.SIGINT) == 0
    fingerprint = server.ready["host_key"]
    panel, intro, link = server.out.splitlines()[3:6]
    assert panel == f"panel     {server.ready['panel']['url']}"
    assert "make the first admin here (works once" in intro
    assert link.strip().startswith(f"{server.ready['panel']['url']}/welcome/")
    assert [line for line in server.out.splitlines() if line not in (panel, intro, link)] == [
        f"host key  made, {fingerprint}",
        f"ssh       {server.ssh_address}, host key {fingerprint}",
        f"gateway   http://127.0.0.1:{server.gateway_port}",
        f"admin     {data_dir}/admin.sock",
    ]
    left = {path.name for path in data_dir.iterdir()}
    assert left == {"integration-server.lock", "integration-server.sqlite3", "key-ring", "ssh_host_ed25519_key"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in [data_dir, *data_dir.iterdir()])
    assert [path.name for path in data_dir.parent.iterdir()] == ["data"]


async def test_metrics_and_health_are_told_on_the_admin_socket_and_on_a_port(data_dir: Path) -> None:
    async with ServerProcess(data_dir, environment={"INTEGRATION_SERVER_METRICS__LISTEN": "127.0.0.1:0"}) as server:
        async with RawClient(server.gateway_port) as client:
            traced = f"X-Request-Id: of-the-caller\r\nTraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n".encode()
            await client.send(b"GET /nobody/api/ HTTP/1.1\r\nHost: g\r\n" + traced + b"\r\n")
            assert (await client.answer()).status == 401
        admin = socket.socket(socket.AF_UNIX)
        admin.connect(server.ready["admin_socket"])
        admin.setblocking(False)
        pages = []
        for watcher in (RawClient(server.ready["metrics"]["port"]), RawClient(0, sock=admin)):
            async with watcher as client:
                await client.send(b"GET /readyz HTTP/1.1\r\nHost: [::1]:9463\r\n\r\n")
                assert (await client.answer()).status == 200
                await client.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                pages.append((await client.answer()).body)
        wanted = b'requests_total{answered_by="gateway",error="client_key_invalid",status_class="4xx"} 1.0'
        assert [wanted in page for page in pages] == [True, True]
        async with RawClient(server.ready["metrics"]["port"]) as client:
            await client.send(b"GET /metrics HTTP/1.1\r\nHost: rebound.test\r\n\r\n")
            assert (await client.answer()).status == 421
        assert await server.stop() == 0
        (done,) = [line for line in server.log if line["event"] == "exchange.done"]
        assert (done["request_id"], done["trace_id"], done["status"]) == ("of-the-caller", TRACE, 401)


async def test_no_secret_is_in_logs_files_arguments_or_environment(server: ServerProcess, data_dir: Path) -> None:
    token = (await server.command("agents", "create", "lyon", "--json")).json["access_token"]
    await server.command(*CONNECTION, *STORE, stdin=API_KEY)
    key = (await server.command("client-keys", "create", "--all", "--json")).json["key"]
    short = await server.command(*CONNECTION, *STORE, stdin=API_KEY[:-1])
    tested = await server.command("connections", "test", "shop-lyon")
    assert (short.code, tested.code) == (1, 1)
    async with RawClient(server.gateway_port) as client:
        await client.send(f"GET /shop-lyon/api/?ws_key={key} HTTP/1.1\r\nHost: g\r\n\r\n".encode())
        assert (await client.answer()).error_name == "store_unreachable"
    process = Path(f"/proc/{server.pid}")
    seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    seen += b"".join(path.read_bytes() for path in data_dir.iterdir() if path.is_file())
    seen += (tested.out + tested.err + short.out + short.err).encode()
    assert await server.stop() == 0
    seen += b"".join(path.read_bytes() for path in data_dir.iterdir() if path.is_file())
    seen += (server.err + server.out).encode()
    assert b"shop-lyon" in seen
    for secret in (API_KEY, API_KEY[:-1], key, token, token[60:100]):
        assert secret.encode() not in seen


async def test_a_second_server_is_refused_and_the_first_lives_on(
    server: ServerProcess, data_dir: Path, tmp_path: Path
) -> None:
    second = await run_server_command(data_dir, "serve")
    assert second.code == 1
    assert second.err.startswith(f"integration-server: Another integration-server (process {server.pid}) is using")
    assert len(second.err.splitlines()) == 1
    socket_path = server.ready["admin_socket"]
    free = LOOPBACK_LISTENERS
    other = await run_server_command(tmp_path / "other", "serve", *free, "--admin-socket", socket_path)
    assert (other.code, "answers on the admin socket" in other.err.splitlines()[-1]) == (1, True)
    assert Path(socket_path).stat().st_mode & 0o777 == 0o600
    assert (await server.command("agents", "list", "--json")).json == []


async def test_a_killed_server_leaves_nothing_in_the_way(data_dir: Path) -> None:
    async with ServerProcess(data_dir) as server:
        await server.command(*CONNECTION, *STORE, stdin=API_KEY)
        assert await server.stop(signal.SIGKILL) == -signal.SIGKILL
    async with ServerProcess(data_dir) as again:
        listed = await again.command("connections", "list", "--json")
        assert [found["slug"] for found in listed.json] == ["shop-lyon"]
    assert again.ready["host_key"] == server.ready["host_key"]
    assert again.out.startswith("ssh ")
