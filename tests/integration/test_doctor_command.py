"""``prestashop-agent doctor`` as a person and a script meet it, and the archive that it writes."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import tarfile
from pathlib import Path

import pytest

from agent.local_socket import SOCKET_NAME, LocalSocket
from tests.kit import sample_store
from tests.kit.agent_cli import AgentCli
from tests.kit.agent_place import SECRET, TOKEN, Place
from tests.kit.canary import Canaries
from tests.kit.ssh_servers import TunnelServer

QUIET = {"PATH": ""}

PROXY_PASSWORD = "canary+proxy/password:1"
BACK_OFFICE_TOKEN = "canary-back-office-token"
ADMIN_FOLDER = "admin914canaryfolder"
API_KEY = "CANARYAPIKEY00000000000000000001"
CLIENT_KEY = "CANARYCLIENTKEY00000000000000001"
E_MAIL = "canary.person@example.com"
OTHER_PASSWORD = "canary-other-password"

LOG = f"""{{"event": "exchange.ended", "path": "/api/customers?filter[email]", "token": "{TOKEN}"}}
2026-11-26T10:00:00Z info x authorization="Basic {base64.b64encode(f"{API_KEY}:".encode()).decode()}"
asked https://shop.example.com/api/customers?filter[email]={E_MAIL}&ws_key={API_KEY}
asked https://{CLIENT_KEY}@gateway.example.com/shop/api/products
proxy http://service:{OTHER_PASSWORD}@proxy.example.com:3128 refused, password={PROXY_PASSWORD}
a line with nothing to hide
"""


@pytest.fixture
def doctor(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> AgentCli:
    """The command on ``place``."""
    return AgentCli(place, monkeypatch, capsys)


@pytest.fixture
def canaries(place: Place) -> Canaries:
    """Secrets in everything that the doctor looks at; each is known by a name."""
    password = place.root / "proxy-password"
    password.write_text(PROXY_PASSWORD)
    password.chmod(0o600)
    place.write(
        f'[proxy]\nurl = "http://127.0.0.1:9"\nusername = "service"\npassword_file = "{password}"\n'
        f'[[stores]]\nurl = "http://127.0.0.1:9/{ADMIN_FOLDER}/index.php?controller=AdminLogin'
        f'&token={BACK_OFFICE_TOKEN}"\n'
    )
    place.state.mkdir(mode=0o700)
    (place.state / "access.log").write_text(LOG)
    return Canaries(
        {
            "token": TOKEN,
            "secret": SECRET,
            "proxy password": PROXY_PASSWORD,
            "back-office token": BACK_OFFICE_TOKEN,
            "admin folder": ADMIN_FOLDER,
            "api key": API_KEY,
            "client key": CLIENT_KEY,
            "e-mail": E_MAIL,
            "other password": OTHER_PASSWORD,
        }
    )


def _content(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        files = {member.name.rpartition("/")[2]: opened.extractfile(member) for member in opened.getmembers()}
        return {name: file.read() for name, file in files.items() if file is not None}


async def test_everything_is_well(place: Place, server: TunnelServer, doctor: AgentCli) -> None:
    async with sample_store.running() as shop:
        url = f"http://127.0.0.1:{shop.port}/api/"
        place.write(f'[[stores]]\nurl = "{url}"\n', server.token(server.agents.add()).encode())
        ended = await asyncio.to_thread(doctor, "doctor", environ=QUIET)
    assert (ended.code, ended.err) == (0, "")
    lines = [line for line in ended.out.splitlines() if not line.startswith("20")]  # the server's log
    assert lines[0] == "This machine"
    assert f"Server 127.0.0.1:{server.port}" in lines
    assert f"Store {url}" in lines
    assert lines[-1].startswith("Nothing failed: 1 with a warning, ")  # it does not run here
    assert max(map(len, lines)) <= max(80, *(36 + len(word) for line in lines for word in line.split()))
    assert "\x1b" not in ended.out


def test_a_failure_is_code_1_and_what_to_begin_with(place: Place, doctor: AgentCli) -> None:
    place.write('[[stores]]\nurl = "http://127.0.0.1:9/api/"\n')
    ended = doctor("doctor", "--no-stores", environ=QUIET)
    assert (ended.code, ended.err) == (1, "")
    assert "\nBegin with TCP of 127.0.0.1:9: Check that the integration server runs" in ended.out
    assert "Store " not in ended.out


def test_settings_that_cannot_be_used_are_code_78_after_the_rest(place: Place, doctor: AgentCli) -> None:
    place.config.write_text("tunnels = 99\n")
    ended = doctor("doctor", "--token-file", str(place.token), environ=QUIET)
    assert (ended.code, ended.err) == (78, "")
    assert "agent lyon-1" in ended.out
    assert "prestashop-agent 0." in ended.out or "prestashop-agent 1." in ended.out


def test_json(place: Place, doctor: AgentCli, canaries: Canaries) -> None:
    ended = doctor("doctor", "--json", environ=QUIET)
    report = json.loads(ended.out)
    assert (ended.code, report["ok"], report["settings_usable"]) == (1, False, True)
    proxy = next(each for each in report["findings"] if each["layer"] == "proxy")
    assert (proxy["subject"], proxy["name"], proxy["state"]) == ("server", "127.0.0.1:9", "failed")
    assert proxy["verdict"] == "proxy_failed"
    assert proxy["more"] == "troubleshooting.md#proxy_failed"
    assert canaries.find({"output": (ended.out + ended.err).encode()}) == []


def test_a_store_that_is_not_in_the_settings(place: Place, doctor: AgentCli) -> None:
    place.write('[[stores]]\nurl = "http://127.0.0.1:9/api/"\n')
    ended = doctor("doctor", "--store", "https://other.example.com/api/", environ=QUIET)
    assert ended.code == 78
    assert "open no store at this address" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [("--yes",), ("--store", "http://a/", "--no-stores"), ("--json", "--bundle", "x"), ("--store", "ftp://a/")],
)
def test_wrong_usage(arguments: tuple[str, ...], doctor: AgentCli) -> None:
    assert doctor("doctor", *arguments, environ=QUIET).code == 2


# -- the archive -----------------------------------------------------------------------------------------------------


def test_the_archive_holds_no_secret(place: Place, doctor: AgentCli, canaries: Canaries) -> None:
    archive = place.root / "help.tar.gz"
    login = f"http://service:{OTHER_PASSWORD}@proxy.example.com:3128"
    ended = doctor("doctor", "--bundle", str(archive), "--yes", environ={**QUIET, "https_proxy": login})
    assert ended.code == 1
    content = _content(archive)
    assert canaries.find(content) == []
    assert canaries.find({"output": (ended.out + ended.err).encode()}) == []
    settings = json.loads(content["settings.json"])
    assert settings["settings"]["stores"][0]["url"] == "http://127.0.0.1:9/api/"
    assert settings["proxy_route"] == "http://127.0.0.1:9 (proxy.url)"
    assert "https_proxy" in settings["places"]["variables"]
    assert b"a line with nothing to hide" in content["log.txt"]
    assert b"gateway.example.com/shop/api/products" in content["log.txt"]
    assert b"/api/customers?..." in content["log.txt"]
    assert json.loads(content["doctor.json"])["findings"]
    assert json.loads(content["status.json"])["state"] == "not_running"
    assert json.loads(content["versions.json"])["asyncssh"] != "none"
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600


async def test_the_status_of_the_running_agent_is_in_it(place: Place, doctor: AgentCli) -> None:
    place.write()
    instance_id = "80914c66-ce03-4233-a13b-dd05675d51d6"
    report = {"version": "1.0", "state": "ready", "pid": 1, "instance_id": instance_id, "tunnels": []}
    (place.root / "run").mkdir(mode=0o700)
    socket = LocalSocket(place.root / "run" / SOCKET_NAME)
    socket.on("status", lambda _request: report)
    archive = place.root / "help.tar.gz"
    async with socket:
        await asyncio.to_thread(
            doctor, "doctor", "--no-stores", "--bundle", str(archive), "--yes", "--json", environ=QUIET
        )
    content = _content(archive)
    assert json.loads(content["status.json"]) == {**report, "instance_id": "80914c66..."}
    assert Canaries({"instance": instance_id}).find(content) == []


def test_a_token_that_is_damaged_is_a_secret_all_the_same(place: Place, doctor: AgentCli) -> None:
    damaged = f"{TOKEN[5:90]}\n{TOKEN[90:200]}"
    place.write(token=damaged)
    place.state.mkdir(mode=0o700)
    (place.state / "own.log").write_text(f"pasted {damaged}\n")
    archive = place.root / "help.tar.gz"
    assert doctor("doctor", "--bundle", str(archive), "--yes", environ=QUIET).code == 78
    lost = Canaries({"first line": TOKEN[5:90], "second line": TOKEN[90:200]})
    assert lost.find(_content(archive)) == []


def test_the_journal_is_taken_where_there_is_one(place: Place, doctor: AgentCli) -> None:
    tools = place.root / "bin"
    tools.mkdir()
    program = tools / "journalctl"
    program.write_text(f'#!/bin/sh\n[ "$1 $2" = "-u prestashop-agent" ] && echo "ready; key {API_KEY}"\n')
    program.chmod(0o755)
    archive = place.root / "help.tar.gz"
    doctor("doctor", "--no-stores", "--bundle", str(archive), "--yes", environ={"PATH": str(tools)})
    assert _content(archive)["log.txt"] == b"ready; key (redacted)\n"


@pytest.mark.parametrize(("answer", "is_written"), [("y\n", True), ("n\n", False), ("", False)])
def test_the_archive_is_shown_before_it_is_agreed_to(
    answer: str, is_written: bool, place: Place, doctor: AgentCli
) -> None:
    place.write()
    archive = place.root / "help.tar.gz"
    ended = doctor("doctor", "--no-stores", "--bundle", str(archive), stdin=answer, environ=QUIET)
    shown, asked, _ = ended.out.partition("Write ")
    assert asked
    for name in ("README.txt", "doctor.json", "settings.json", "versions.json", "status.json", "log.txt"):
        assert f"bytes  {name}" in shown
        assert f"===== {name} =====" in shown
    assert "server_port_closed" in shown
    assert archive.exists() is is_written
    assert ended.code == (1 if is_written else 130)


def test_a_file_that_is_there_is_never_replaced(place: Place, doctor: AgentCli) -> None:
    place.write()
    archive = place.root / "help.tar.gz"
    archive.write_text("precious")
    ended = doctor("doctor", "--no-stores", "--bundle", str(archive), "--yes", environ=QUIET)
    assert ended.code == 1
    assert "There is a file" in ended.err
    assert archive.read_text() == "precious"


def test_a_place_that_cannot_be_written(place: Place, doctor: AgentCli) -> None:
    place.write()
    ended = doctor("doctor", "--no-stores", "--bundle", str(place.root / "no/help.tar.gz"), "--yes", environ=QUIET)
    assert "cannot be written (No such file or directory)" in ended.err
    assert "Traceback" not in ended.err


def test_the_terminal_is_safe_from_what_the_log_holds(place: Place, doctor: AgentCli) -> None:
    place.write()
    place.state.mkdir(mode=0o700)
    (place.state / "own.log").write_text("evil \x1b[2J\x07 line\n")
    ended = doctor("doctor", "--no-stores", "--bundle", str(place.root / "x.tar.gz"), environ=QUIET)
    assert "evil \\x1b[2J" in ended.out
