"""prestashop-agent enroll and unenroll, with a double of systemctl: what is written, asked, started, taken away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.enrolment import service
from agent.errors import EXIT_SETTINGS
from agent.instance import Instance
from agent.tunnel.token import AccessToken, new_secret
from tests.kit.agent_place import SECRET, TOKEN
from tests.kit.fresh_agent import FreshAgent
from tests.kit.server_process import Outcome
from tests.kit.systemctl import Systemctl

SHOP = "https://shop.example.com/"
OTHER = AccessToken(("127.0.0.1:9",), ("SHA256:" + "A" * 43,), "other", new_secret()).encode()
UNIT = "prestashop-agent.service"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="a service is root's")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> FreshAgent:
    monkeypatch.setattr(service, "BOOTED", tmp_path)
    return FreshAgent(tmp_path, monkeypatch, capsys)


@pytest.fixture
def systemctl(agent: FreshAgent) -> Systemctl:
    return Systemctl.install(agent.root / "bin")


def enroll(agent: FreshAgent, *arguments: str, token: str = TOKEN, path: Path | None = None) -> Outcome:
    return agent("enroll", "--no-test", *arguments, stdin=token, path=path)


def test_one_token_makes_an_agent_and_a_second_run_changes_nothing(agent: FreshAgent) -> None:
    said = enroll(agent, "--store", SHOP, "--store", "http://10.0.0.5/shop2/api/", "--write")
    assert (said.code, said.err) == (0, "")
    assert agent.token.read_text() == f"{TOKEN}\n"
    assert agent.token.stat().st_mode & 0o777 == 0o600
    settings = agent.config.read_text()
    assert f'url = "{SHOP}api/"\nmethods = "write"' in settings
    assert 'url = "http://10.0.0.5/shop2/api/"\nmethods = "write"' in settings
    for part in ("lyon-1, of 127.0.0.1:9", f"{SHOP}: opened", "prestashop-agent run", "Enrolled."):
        assert part in said.out
    assert TOKEN not in said.out
    assert SECRET not in said.out

    files = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (agent.token, agent.config)}
    # With the same token, with none, and with one in a file: a person, a playbook, cloud-init.
    file = agent.root / "handed"
    file.write_text(TOKEN)
    file.chmod(0o600)
    for again in (
        enroll(agent, "--store", "shop.example.com:443", "--json"),
        enroll(agent, "--yes", "--json", token=""),
        enroll(agent, "--token-file", str(file), "--json", token=OTHER),
    ):
        assert (again.code, again.json["changed"]) == (0, False)
        assert (again.json["token"], again.json["settings"], again.json["agent_id"]) == ("unchanged",) * 2 + ("lyon-1",)
    assert files == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_another_token_takes_the_place_only_when_that_is_meant(agent: FreshAgent) -> None:
    enroll(agent)
    refused = enroll(agent, token=OTHER)
    assert (refused.code, "holds the token of agent lyon-1" in refused.err) == (1, True)
    assert agent.token.read_text() == f"{TOKEN}\n"
    assert enroll(agent, "--yes", "--json", token=OTHER).json["token"] == "replaced"
    assert agent.token.read_text() == f"{OTHER}\n"
    agent.token.chmod(0o644)  # others may have read it: it is written anew, closed
    assert enroll(agent, "--yes", "--json", token=OTHER).json["token"] == "replaced"
    assert agent.token.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "token", "code", "sentence"),
    [
        ((), "", EXIT_SETTINGS, "No access token was given"),
        (("--token-stdin", "--yes"), "", EXIT_SETTINGS, "No access token was given"),
        ((), TOKEN[:-9], EXIT_SETTINGS, "is truncated"),
        ((), "https://panel.example.com/", EXIT_SETTINGS, "This is not an access token"),
        (("--token-file", "/nowhere/token"), "", EXIT_SETTINGS, "/nowhere/token does not exist"),
        (("--store", "ftp://shop"), TOKEN, EXIT_SETTINGS, "begins with http:// or https://"),
        (("--store", SHOP, "--ca-file", "/nowhere.pem"), TOKEN, EXIT_SETTINGS, "The CA file /nowhere.pem"),
        (("--store", SHOP, "--connect", "a b"), TOKEN, EXIT_SETTINGS, "stores[0].connect"),
    ],
)
def test_what_cannot_be_used_writes_nothing(
    agent: FreshAgent, arguments: tuple[str, ...], token: str, code: int, sentence: str
) -> None:
    said = enroll(agent, *arguments, "--json", token=token)
    assert (said.code, said.json["ok"]) == (code, False)
    assert sentence in said.json["error"]
    assert sentence in said.err
    assert TOKEN[:-9] not in said.out + said.err
    left = {path.name for path in agent.root.rglob("*")}
    assert left <= {"etc"}


def test_options_of_a_store_need_one(agent: FreshAgent) -> None:
    said = enroll(agent, "--write")
    assert (said.code, "add --store URL" in said.err, agent.token.exists()) == (2, True, False)


def test_what_the_test_finds_decides_the_code_and_what_was_written_stays(agent: FreshAgent) -> None:
    said = agent("enroll", "--store", "http://127.0.0.1:9/api/", stdin=TOKEN)
    assert said.code == 1
    for part in ("Server 127.0.0.1:9", "server_port_closed", "Store http://127.0.0.1:9/api/", "Written, but the test"):
        assert part in said.out
    assert agent.token.exists()
    answer = agent("enroll", "--json", stdin=TOKEN).json
    assert (answer["ok"], answer["changed"], answer["test"]["ok"]) == (False, False, False)
    assert {finding["subject"] for finding in answer["test"]["findings"]} == {"server", "store"}


@as_root
def test_the_service_is_started_restarted_for_a_token_and_left_alone_otherwise(
    agent: FreshAgent, systemctl: Systemctl
) -> None:
    path = systemctl.directory
    said = enroll(agent, path=path)
    assert f"sudo systemctl enable --now {UNIT}" in said.out
    assert systemctl.actions() == []
    assert enroll(agent, "--no-enable", "--yes", "--json", path=path).json["service"] == "not_enabled"
    assert systemctl.actions() == []

    answer = enroll(agent, "--yes", "--json", path=path).json
    assert (answer["service"], answer["changed"], systemctl.actions()) == ("enabled", True, [f"enable --now {UNIT}"])
    answer = enroll(agent, "--yes", "--enable", "--json", path=path).json
    assert (answer["service"], answer["changed"], systemctl.actions()) == ("running", False, [])

    said = enroll(agent, "--yes", token=OTHER, path=path)
    assert systemctl.actions() == [f"restart {UNIT}"]
    assert "restarted with the new token" in said.out

    systemctl.set("broken", True)
    assert enroll(agent, "--yes", token=OTHER, path=path).code == 0  # nothing to do, nothing was tried
    failed = enroll(agent, "--yes", token=TOKEN, path=path)
    assert (failed.code, "Job for the unit failed." in failed.err, "systemctl status" in failed.err) == (1, True, True)


@as_root
def test_an_instance_has_its_own_unit_and_files(agent: FreshAgent, systemctl: Systemctl) -> None:
    answer = enroll(agent, "--instance", "second", "--enable", "--json", path=systemctl.directory).json
    assert answer["service"] == "enabled"
    assert systemctl.actions() == ["enable --now prestashop-agent@second.service"]
    own = agent.root / "etc" / "second"
    assert sorted(path.name for path in own.iterdir()) == ["agent.toml", "token"]
    assert not agent.token.exists()
    said = agent("unenroll", "--instance", "second", "--yes", "--purge-settings", path=systemctl.directory)
    assert (said.code, own.exists()) == (0, False)
    assert systemctl.actions() == ["disable --now prestashop-agent@second.service"]


def test_where_there_is_no_service_none_can_be_enabled(agent: FreshAgent) -> None:
    path = Systemctl.install(agent.root / "bin", is_installed=False).directory
    said = enroll(agent, "--enable", path=path)
    assert (said.code, "no service to enable" in said.err) == (1, True)
    assert agent.token.exists()


def test_other_settings_than_the_units_leave_the_service_alone(agent: FreshAgent, systemctl: Systemctl) -> None:
    own = agent.root / "own.toml"
    said = enroll(agent, "--config", str(own), "--yes", path=systemctl.directory)
    assert (said.code, own.exists(), systemctl.actions()) == (0, True, [])
    assert f"prestashop-agent run --config {own}" in said.out


@as_root
def test_unenroll_leaves_nothing_and_says_what_is_left_to_do(agent: FreshAgent, systemctl: Systemctl) -> None:
    path = systemctl.directory
    enroll(agent, "--store", SHOP, "--yes", path=path)
    with Instance.claim(agent.root / "state"):
        pass  # what a run leaves
    (agent.root / "state" / "access").mkdir()
    for day in range(10, 20):
        (agent.root / "state" / "access" / f"access-2026-11-{day}.jsonl").touch()
    (agent.root / "state" / "pause.json").touch()
    (agent.root / "run").mkdir()
    systemctl.actions()

    asked = agent("unenroll", path=path)
    assert (asked.code, "add --yes" in asked.err, systemctl.actions()) == (1, True, [])
    said = agent("unenroll", "--yes", path=path)
    assert (said.code, said.err) == (0, "")
    assert systemctl.actions() == [f"disable --now {UNIT}"]
    assert "integration-server agents revoke lyon-1" in said.out
    assert "state/access: 10 files" in " ".join(said.out.split())
    assert "--purge-settings removes it, too" in said.out
    assert [path.name for path in agent.config.parent.iterdir()] == ["agent.toml"]
    again = agent("unenroll", "--yes", "--purge-settings", "--json", path=path)
    assert again.json["removed"] == [str(agent.config)]
    assert {path.name for path in agent.root.iterdir()} == {"bin"}
    again = agent("unenroll", "--yes", "--json", path=path)
    assert (again.code, again.json["changed"], systemctl.actions()) == (0, False, [])


def test_unenroll_does_not_pull_the_files_from_under_a_running_agent(agent: FreshAgent) -> None:
    enroll(agent)
    with Instance.claim(agent.root / "state"):
        sentence = agent.refused(1, "unenroll", "--yes", "--json")
    assert f"runs as process {os.getpid()}" in sentence
    assert agent.token.exists()


def test_unenroll_works_with_settings_that_do_not_and_spares_what_is_not_the_agents(agent: FreshAgent) -> None:
    enroll(agent)
    agent.config.write_text("tunels = 2\n")
    with Instance.claim(agent.root / "state"):
        pass
    other = agent.root / "state" / "second"
    other.mkdir()
    (other / "instance-id").touch()
    said = agent("unenroll", "--yes")
    assert (said.code, agent.token.exists(), '"tunels"' in said.out) == (0, False, True)
    assert sorted(path.name for path in (agent.root / "state").rglob("*")) == ["instance-id", "second"]
