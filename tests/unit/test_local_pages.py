"""The pages over real sockets: the agent's own, which its group may open, and TCP where the settings want it."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.local_http import LocalHttp
from agent.local_socket import LocalSocket
from agent.loop_lag import LoopLag
from agent.metrics_listener import CONNECTIONS_MAX, MetricsListener
from agent.settings_metrics import MetricsSettings
from agent.unix_socket import PrivateSocket
from tests.kit.until import until

LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
PAGES = LocalHttp(lambda: {"state": "ready", "is_alive": True}, lambda _accept: ("text/x", b"m" * 1_000_000))


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *pieces: bytes) -> bytes:
    """What comes until the end, which is a reset where something that was sent was not read."""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_the_socket_answers_commands_and_pages(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    async with LocalSocket(path) as local:
        local.http = PAGES
        local.on("status", lambda _request: {"state": "ready"})
        assert (
            await asked(*await asyncio.open_unix_connection(path), b'{"command":"status"}\n') == b'{"state":"ready"}\n'
        )
        live = await asked(*await asyncio.open_unix_connection(path), LIVE[:9], LIVE[9:])
        assert live.startswith(b"HTTP/1.1 200 OK\r\n")
        page = await asked(*await asyncio.open_unix_connection(path), LIVE.replace(b"livez", b"metrics"))
        assert page.endswith(b"\r\n\r\n" + b"m" * 1_000_000)
        await until(lambda: local.connections == 0)


@pytest.mark.parametrize(
    ("directory", "is_for_group", "mode"),
    [(0o750, True, 0o660), (0o750, False, 0o600), (0o755, True, 0o600), (0o700, True, 0o600), (0o2770, True, 0o660)],
)
def test_the_group_may_where_the_directory_lets_it_and_nobody_else(
    tmp_path: Path, directory: int, is_for_group: bool, mode: int
) -> None:
    place = tmp_path / "run"
    place.mkdir()
    if os.geteuid() == 0:
        os.chown(place, -1, 4711)
    place.chmod(directory)
    path = place / "agent.sock"
    private = PrivateSocket(path, what="The socket", program="agent", setting="x", is_for_group=is_for_group)
    with private.listen(1):
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == mode
        if mode == 0o660:
            assert found.st_gid == place.stat().st_gid
    private.remove()


async def test_tcp_answers_refuses_names_and_lets_go() -> None:
    async with MetricsListener(("127.0.0.1", 0), ("shop.example.com",), PAGES, LoopLag()) as listener:
        assert listener.port
        for host, status in ((b"localhost", b"200"), (b"shop.example.com", b"200"), (b"evil.example", b"421")):
            answer = await asked(
                *await asyncio.open_connection("127.0.0.1", listener.port), LIVE.replace(b"localhost", host)
            )
            assert answer.split(b" ")[1] == status
        idle = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(CONNECTIONS_MAX)]
        await until(lambda: listener.connections == CONNECTIONS_MAX)
        one_more = await asyncio.open_connection("127.0.0.1", listener.port)
        assert await asked(*one_more) == b""
        for _, writer in idle:
            writer.close()
        await until(lambda: listener.connections == 0)
        stays = await asyncio.open_connection("127.0.0.1", listener.port)
        await until(lambda: listener.connections == 1)
    assert await asked(*stays) == b""
    assert listener.connections == 0


async def test_a_port_that_is_taken_is_a_warning() -> None:
    async with MetricsListener(("127.0.0.1", 0), (), PAGES, LoopLag()) as first:
        assert first.port
        with capture_logs() as logged:
            async with MetricsListener(("127.0.0.1", first.port), (), PAGES, LoopLag()) as second:
                assert second.port is None
        (warning,) = logged
        assert (warning["event"], warning["log_level"], warning["port"]) == (
            "metrics.unavailable",
            "warning",
            first.port,
        )
        assert "listen in [metrics]" in warning["remedy"]


async def test_nowhere_unless_wanted() -> None:
    async with MetricsListener(MetricsSettings().place, (), PAGES, LoopLag()) as listener:
        assert listener.port is None


@pytest.mark.parametrize(
    ("listen", "remote", "place"),
    [
        ("127.0.0.1:9464", False, ("127.0.0.1", 9464)),
        ("[::1]:0", False, ("::1", 0)),
        ("0.0.0.0:9464", True, ("0.0.0.0", 9464)),
    ],
)
def test_places(listen: str, remote: bool, place: tuple[str, int]) -> None:
    assert MetricsSettings(listen=listen, allow_remote=remote).place == place


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("0.0.0.0:9464", "allow_remote"),
        ("192.0.2.1:9464", "allow_remote"),
        ("[::]:9464", "allow_remote"),
        ("localhost:9464", "address and a port"),
        ("127.0.0.1", "address and a port"),
        ("::1:9464", "address and a port"),
        ("127.0.0.1:65536", "address and a port"),
    ],
)
def test_places_that_are_refused(listen: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MetricsSettings(listen=listen)
