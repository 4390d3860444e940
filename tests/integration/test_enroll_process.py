"""Enrolling as a person does it: against a real server, at a terminal, and beside an agent that runs."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.local_client import RefusedError
from agent.cli.said import Said
from agent.cli.settings_reload import tell_agent
from agent.enrolment.places import AgentPlaces
from agent.enrolment.settings_change import SettingsNow
from agent.errors import SettingsError
from agent.local_socket import SOCKET_NAME, LocalSocket
from tests.kit import sample_store
from tests.kit.agent_place import SECRET, TOKEN, Place
from tests.kit.agent_process import AgentProcess
from tests.kit.ssh_servers import TunnelServer


async def test_a_token_and_an_address_are_enough(place: Place, server: TunnelServer) -> None:
    """Then a second store is opened and closed while the agent runs, which tells the server of it."""
    token = server.token(server.agents.add()).encode()
    async with sample_store.running() as shop:
        handed = place.root / "handed"
        handed.write_text(token)
        handed.chmod(0o600)
        url = f"http://127.0.0.1:{shop.port}/admin123abcdef/index.php?controller=AdminLogin&token=t0psecret"
        arguments = ("enroll", "--config", str(place.root / "own.toml"), "--token-file", str(handed), "--store", url)
        home = {"XDG_CONFIG_HOME": str(place.root), "CONFIGURATION_DIRECTORY": str(place.root / "etc")}
        ended = await asyncio.to_thread(place.run, *arguments, environ=home)
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
        assert "Enrolled." in ended.stdout
        assert "FAILED" not in ended.stdout
        assert f'url = "http://127.0.0.1:{shop.port}/api/"' in (place.root / "own.toml").read_text()

        directory = place.root / "running"
        store = f'[[stores]]\nurl = "http://127.0.0.1:{shop.port}/api/"\n'
        async with AgentProcess(directory, store, token) as process:
            await process.event("tunnel.ready", 2)
            run = {"PRESTASHOP_AGENT_RUNTIME_DIR": str(directory / "run")}
            own = ("--config", str(process.config))
            ended = await asyncio.to_thread(
                place.run, *own, "stores", "add", "http://10.0.0.5/api/", "--json", environ=run
            )
            answer = json.loads(ended.stdout)
            assert (ended.returncode, answer["reload"], answer["need_restart"]) == (0, "done", [])
            # The answer came when it was done: the agent said so before.
            assert [event["stores"] for event in process.events if event["event"] == "settings.reloaded"] == [2]
            ended = await asyncio.to_thread(place.run, *own, "stores", "remove", "10.0.0.5", environ=run)
            assert "The running agent has the settings in force: 1 store is open." in " ".join(ended.stdout.split())


def test_at_a_terminal_the_token_is_asked_for_and_not_shown(place: Place) -> None:
    place.config.unlink()
    place.token.unlink()
    master, terminal = pty.openpty()
    environ = place.environ({"CONFIGURATION_DIRECTORY": str(place.root / "etc"), "TERM": "dumb"})
    command = [sys.executable, "-m", "agent.cli.main", "enroll", "--no-test"]
    process = subprocess.Popen(
        command, env=environ, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    shown, seen = b"", 0
    answers = [
        (b"not shown", TOKEN[:-5]),  # its end was lost in the paste
        (b"is truncated", None),
        (b"not shown", TOKEN),
        (b"webservice (Enter: none now)", "ftp://shop.example.com"),
        (b"begins with http:// or https://", None),
        (b"webservice (Enter: none now)", "https://shop.example.com/"),
        (b"write to it, too", "y"),
        (b"Another one", ""),
    ]
    try:
        for question, answer in answers:
            while (found := shown.find(question, seen)) < 0:
                shown += os.read(master, 4096)
            seen = found + len(question)
            if answer is not None:
                os.write(master, answer.encode() + b"\n")
        while True:
            try:
                shown += os.read(master, 4096)
            except OSError:  # it has closed its terminal
                break
        assert process.wait(20) == 0, shown
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert SECRET.encode() not in shown
    assert TOKEN[:-5].encode() not in shown
    assert (place.root / "etc" / "token").read_text() == f"{TOKEN}\n"
    assert 'methods = "write"' in (place.root / "etc" / "agent.toml").read_text()
    assert b"Enrolled." in shown


@pytest.mark.parametrize("answered", ["refused", "other"])
async def test_what_the_running_agent_makes_of_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answered: str
) -> None:
    async def reload(_request: object) -> dict[str, object]:
        if answered == "refused":
            raise SettingsError("The CA file /etc/ca.pem cannot be used (Permission denied).")
        return {"settings_file": "/etc/elsewhere.toml", "stores": 1, "need_restart": []}

    file = tmp_path / "agent.toml"
    file.write_text(f'runtime_dir = "{tmp_path}"\n')
    now = SettingsNow.read(AgentPlaces.of(None, file, {}, is_root=False))
    said = Said(as_json=False)
    local = LocalSocket(tmp_path / SOCKET_NAME)
    local.on("reload", reload)
    async with local:
        if answered == "refused":
            with pytest.raises(RefusedError, match=r"^The CA file /etc/ca\.pem"):
                await asyncio.to_thread(tell_agent, now, said, asked=True)
        else:
            assert await asyncio.to_thread(tell_agent, now, said, asked=True) == {"reload": "not_running"}
            assert "reads /etc/elsewhere.toml, not this file" in " ".join(capsys.readouterr().out.split())
