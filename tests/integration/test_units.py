"""The unit files: right in the eyes of systemd, closed as far as it goes, and open enough for both programs."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_daemon import answered, ask, table
from tests.kit import unit_sandbox
from tests.kit.agent_process import AgentProcess
from tests.kit.scripted_store import ScriptedStore, always_ok
from tests.kit.server_process import ServerProcess
from tests.kit.ssh_servers import tunnel_server
from tests.kit.tools import require_tool

UNITS = Path(__file__).resolve().parents[2] / "systemd"
AGENT, SERVER = "prestashop-agent.service", "integration-server.service"
SERVICES = (AGENT, "prestashop-agent@.service", SERVER)
EXPOSURE_MAX = 1.5
LAUNCHER = (sys.executable, "-S", unit_sandbox.__file__)


@pytest.fixture(scope="module")
def systemd_analyze() -> str:
    return require_tool("systemd-analyze", "systemd")


@pytest.mark.parametrize("unit", SERVICES)
def test_the_exposure_is_low(systemd_analyze: str, unit: str) -> None:
    command = [systemd_analyze, "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX * 10:.0f}"]
    ended = subprocess.run([*command, str(UNITS / unit)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    listed = subprocess.check_output([*command, "--json=short", str(UNITS / unit)], text=True)
    open_still = {line["json_field"] for line in json.loads(listed) if line["set"] is False}
    assert open_still <= {
        "RootDirectoryOrRootImage",  # it is a program of the host's
        "PrivateNetwork",
        "IPAddressDeny",
        "RestrictAddressFamilies_AF_INET_INET6",
        "RestrictAddressFamilies_AF_UNIX",
        *(["RestrictAddressFamilies_AF_NETLINK"] if unit != SERVER else []),
        "DeviceAllow",  # ProtectClock= itself lets the clock be read
    }


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_systemd_finds_nothing_wrong(systemd_analyze: str, tmp_path: Path, is_encrypted: bool) -> None:
    """In a root of its own, where the programs are stubs and the agent has an instance."""
    units, programs = tmp_path / "etc/systemd/system", tmp_path / "usr/bin"
    for directory in (units, programs):
        directory.mkdir(parents=True)
    for program in (programs / "prestashop-agent", programs / "integration-server"):
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    ours = (*UNITS.glob("*.service"), *UNITS.glob("*.socket"))
    for unit in ours:
        shutil.copy(unit, units)
    if is_encrypted:
        (units / f"{AGENT}.d").mkdir()
        shutil.copy(UNITS / "prestashop-agent-encrypted-token.conf", units / f"{AGENT}.d")
    for target in ("sysinit", "basic", "shutdown", "sockets", "multi-user", "network-online"):
        (units / f"{target}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    named = [unit.name.replace("@.", "@lyon.") for unit in ours]
    command = [systemd_analyze, "verify", f"--root={tmp_path}", "--man=no", *named]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_the_template_is_the_same_service_once_more() -> None:
    def settings(name: str) -> list[str]:
        lines = (UNITS / name).read_text().splitlines()
        return [line for line in lines if line and not line.startswith(("#", "Description=", "RuntimeDirectoryPres"))]

    of_instance = [line.replace("/%i", "") for line in settings(SERVICES[1])]
    assert of_instance == settings(AGENT)


async def test_the_agent_works_under_the_filters_of_its_unit(systemd_analyze: str, tmp_path: Path) -> None:
    async with tunnel_server() as server, ScriptedStore(always_ok) as store:
        token = server.token(server.agents.add()).encode()
        prefix = (*LAUNCHER, str(UNITS / AGENT))
        async with AgentProcess(tmp_path, table(store.port), token, prefix=prefix) as process:
            tunnels = await server.wait_tunnels(2)
            await answered(await ask(tunnels[0], store.port), b"<prestashop/>")
            process.signal(signal.SIGHUP)
            await process.event("settings.reloaded")
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0


async def test_the_server_works_under_the_filters_of_its_unit(systemd_analyze: str, tmp_path: Path) -> None:
    prefix = (*LAUNCHER, str(UNITS / SERVER))
    async with ServerProcess(tmp_path / "data", prefix=prefix) as server:
        made = await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
        async with AgentProcess(tmp_path / "agent", "", made["access_token"]) as agent:
            await agent.event("tunnel.ready", 2)
        assert await server.stop() == 0


def test_the_filters_of_the_tests_do_refuse(systemd_analyze: str) -> None:
    """Else the two tests above could not fail."""
    code = (
        "import mmap, os, socket\n"
        "def refused(f):\n"
        "    try: f()\n"
        "    except OSError as error: return error.errno\n"
        "print(refused(lambda: os.nice(1)),\n"
        "      refused(lambda: mmap.mmap(-1, 4096, prot=7)),\n"
        "      refused(lambda: socket.socket(socket.AF_PACKET)))"
    )
    shown = subprocess.check_output([*LAUNCHER, str(UNITS / AGENT), sys.executable, "-c", code], text=True)
    assert shown.split() == ["1", "1", "97"]
