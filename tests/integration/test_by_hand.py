"""`prestashop-agent run` at a terminal, and `run --once`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.test_daemon import HeldStore, ask
from tests.kit.agent_place import Place
from tests.kit.sample_store import running as sample_store
from tests.kit.scripted_store import ScriptedStore
from tests.kit.ssh_servers import TunnelServer, tunnel_server
from tests.kit.terminal import CTRL_C, Terminal

RUN = (sys.executable, "-m", "agent.cli.main", "run")


@asynccontextmanager
async def by_hand(tmp_path: Path, *options: str) -> AsyncIterator[tuple[Terminal, TunnelServer, ScriptedStore, str]]:
    """An agent at a terminal, connected, with an exchange that runs."""
    held = HeldStore()
    async with tunnel_server() as server, ScriptedStore(held.script) as store:
        place = Place(tmp_path)
        token = server.token(server.agents.add()).encode()
        place.write(f'[[stores]]\nurl = "http://127.0.0.1:{store.port}/api/"\n', token)
        command = (*RUN, "--config", str(place.config), *options)
        async with Terminal(command, place.environ({"TZ": "UTC"})) as terminal:
            tunnel = (await server.wait_tunnels(2))[0]
            await ask(tunnel, store.port)
            await held.asked.wait()
            await ask(tunnel, store.port, "/api/products?filter[email]=a@example.com")
            yield terminal, server, store, token
            held.answer.set()


async def test_ctrl_c_drains_once_and_twice_leaves(tmp_path: Path) -> None:
    async with by_hand(tmp_path) as (terminal, server, store, token):
        await terminal.see(f"Tunnel 1 is up to 127.0.0.1:{server.port}")
        await terminal.see("?filter[email]\n")
        terminal.press(CTRL_C)
        await terminal.see("Waiting for 1 exchange, 30 s at most; Ctrl-C again to leave at once.\n")
        terminal.press(CTRL_C)
        assert await terminal.ended() == 130
        shown, store_port = terminal.shown, store.port
    assert shown.startswith("prestashop-agent ")
    assert "Ctrl-C to stop" in shown.splitlines()[0]
    assert f"\n  Connects to  127.0.0.1:{server.port}\n" in shown
    assert f"\n  Open         http://127.0.0.1:{store_port}/ for GET HEAD, all resources\n" in shown
    assert f"B  127.0.0.1:{store_port}/api/products?filter[email]\n" in shown
    assert "Left at once" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "tunnel.state" not in shown
    assert "a@example.com" not in terminal.raw
    assert token not in terminal.raw
    assert "\x1b[32m200\x1b[0m" in terminal.raw


async def test_with_v_there_is_more_and_it_reads_as_well(tmp_path: Path) -> None:
    async with by_hand(tmp_path, "-v") as (terminal, server, _, _):
        await terminal.see(f"Tunnel 0 connects to 127.0.0.1:{server.port}.\n")
        await terminal.see("Tunnel 0 logs in.\n")
        await terminal.see("?filter[email]\n")
        assert " debug " not in terminal.shown


@pytest.mark.parametrize("is_well", [True, False])
async def test_once_connects_looks_at_the_stores_and_leaves(tmp_path: Path, is_well: bool) -> None:
    async with tunnel_server() as server, sample_store() as store:
        place = Place(tmp_path)
        token = server.token(server.agents.add() if is_well else "x" * 43).encode()
        place.write(f'[[stores]]\nurl = "http://{store.domain}/api/"\n', token)
        async with Terminal((*RUN, "--once", "--config", str(place.config)), place.environ()) as terminal:
            assert await terminal.ended() == (0 if is_well else 1)
            shown = terminal.shown
        assert server.events == []  # it never was a tunnel
    assert f"Server      {'ok' if is_well else 'FAILED'}  127.0.0.1:{server.port}\n" in shown
    assert f"Store       ok  http://{store.domain}/api/\n" in shown
    assert ("All is well" in shown) is is_well
    assert ("token_refused" in shown) is not is_well
    assert not place.state.exists()


def test_once_without_a_store_is_not_well_and_bad_settings_are_78(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("[timeouts]\nssh_connect_s = 0.5\n")
    ended = place.run("run", "--once", "--config", str(place.config))
    assert ended.returncode == 1
    assert "Server      FAILED  127.0.0.1:9\n            unreachable\n" in ended.stdout
    assert "Store       FAILED  none\n" in ended.stdout
    assert ended.stderr == ""
    place.write("tunnels_ = 1\n")
    place.refused(78, "run", "--once")
