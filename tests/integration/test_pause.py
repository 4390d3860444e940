"""``prestashop-agent pause`` and ``resume``: beside the running agent, over its restart, and while none runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.access_log import access_log
from agent.cli.pause import pause, resume
from agent.errors import StartError
from agent.instance import Instance
from agent.pause import Pause
from agent.store_url import Store
from tests.integration.test_daemon import answered, ask, table
from tests.kit.agent_process import AgentProcess
from tests.kit.scripted_store import ScriptedStore
from tests.kit.ssh_servers import TunnelServer, tunnel_server


async def command(config: Path, *arguments: str) -> tuple[int, str, str]:
    """Run ``prestashop-agent``: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent.cli.main", "--config", str(config), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def told(server: TunnelServer, store: Store) -> Pause | None:
    """What the server knows, from both tunnels, once they agree."""
    while len(seen := {tunnel.paused.get(store) for tunnel in await server.wait_tunnels(2)}) > 1:
        await server.next_event()
    return seen.pop()


async def test_a_pause_counts_at_once_over_a_restart_and_until_resume(tmp_path: Path) -> None:
    async with tunnel_server() as server, ScriptedStore() as shop:
        token = server.token(server.agents.add()).encode()
        store = Store("http", "127.0.0.1", shop.port, "/")
        async with AgentProcess(tmp_path, table(shop.port), token) as process:
            await server.wait_tunnels(2)
            code, out, err = await command(process.config, "pause", "--reason", "stocktaking", "--for", "2h")
            assert (code, err) == (0, "")
            assert out.startswith("Everything is paused since 2")
            assert (await process.event("store.paused"))["reason"] == "stocktaking"
            refused = await answered(await ask((await server.wait_tunnels(2))[0], shop.port), b"</prestashop>\n")
            assert b"(stocktaking). Nobody else can end that: `prestashop-agent resume`" in refused
            while (paused := await told(server, store)) is None:
                await server.next_event()
            assert paused.reason == "stocktaking"
            code, out, _ = await command(process.config, "status")
            assert "paused since" in out
            process.signal(signal.SIGKILL)
            await process.ended()
        await server.wait_tunnels(0)
        async with AgentProcess(tmp_path, table(shop.port, "max_requests_per_minute = 1"), token) as process:
            tunnel = (await server.wait_tunnels(2))[0]
            assert await told(server, store) == paused
            assert (await answered(await ask(tunnel, shop.port), b"</prestashop>\n")).startswith(b"HTTP/1.1 403 ")
            code, out, err = await command(process.config, "resume", "--store", f"http://127.0.0.1:{shop.port}")
            assert (code, out) == (1, "")
            assert "Everything is paused, not single stores" in err
            assert (await command(process.config, "resume"))[:2] == (0, "Open again: every store\n")
            assert (await process.event("store.resumed"))["store"] == "all"
            await answered(await ask(tunnel, shop.port), b"<prestashop/>")
            while await told(server, store) is not None:
                await server.next_event()
            limited = await answered(await ask(tunnel, shop.port), b"</prestashop>\n")
            assert b"\r\nRetry-After: 60\r\n" in limited
            assert (await process.event("store.limited"))["level"] == "warning"
            assert len(shop.requests) == 1
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0
            assert process.other_lines == []
            assert [event for event in process.events if event["event"] == "exchange.failed"] == []
        lines = CliRunner().invoke(access_log, ["--config", str(process.config)], catch_exceptions=False).output
        shown = [line.split()[2:] for line in lines.splitlines()]
        assert [(line[0], line[1], line[3]) for line in shown[-3:]] == [
            ("403", "GET", "ms"),
            ("200", "GET", "ms"),
            ("503", "GET", "ms"),
        ]
        assert "k3y" not in "".join(path.read_text() for path in (tmp_path / "state" / "access").iterdir())


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that other users can enter."""
    with tempfile.TemporaryDirectory(prefix="pause-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_while_no_agent_runs_the_file_is_written_for_its_user(open_path: Path) -> None:
    config = open_path / "agent.toml"
    state = open_path / "state"
    config.write_text(
        f'state_dir = "{state}"\nruntime_dir = "{open_path / "run"}"\n'
        + table(1)
        + '[[stores]]\nurl = "https://other.example.com/shop/api/"\n'
    )
    state.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(state, 65534, 65534)
    run = CliRunner()
    given = ["--config", str(config)]
    done = run.invoke(pause, [*given, "--store", "https://other.example.com/shop/admin/"], catch_exceptions=False)
    assert f"from the next start of the one whose state is in {state}." in done.output
    assert "Paused: https://other.example.com/shop/ since 2" in done.output
    kept = (state / "pause.json").stat()
    assert (kept.st_mode & 0o777, kept.st_uid) == (0o600, state.stat().st_uid)
    assert os.geteuid() == os.getuid()
    with Instance.claim(state), pytest.raises(StartError, match="its socket is not where it is looked for"):
        run.invoke(resume, given, catch_exceptions=False)
    done = run.invoke(resume, given, catch_exceptions=False)
    assert "Open again: https://other.example.com/shop/" in done.output
    assert not (state / "pause.json").exists()
    assert "Nothing was paused." in run.invoke(resume, given, catch_exceptions=False).output
    assert run.invoke(pause, [*given, "--for", "soon"]).exit_code == 2
