"""The commands without a running server: what they make, what they print, and what bad input gets."""

from __future__ import annotations

import json
import os
import re
import socket
from datetime import datetime
from pathlib import Path

import pytest

import agent
from agent.server.data_directory import hold_data_directory
from agent.tunnel.token import parse_token
from tests.kit.server_cli import ServerCli

API_KEY = b"CANARY0API0KEY0CANARY0API0KEY012"
SSH = "agents.example.com:2222"
CONNECTION = ("connections", "create", "--name", "Shop Lyon", "--mode", "cloud", "--api-key-file", "-")
STORE = ("--store-url", "https://h.example/api/")
FREE = ("--ssh-listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0", "--panel-listen", "127.0.0.1:0")


def test_everything_can_be_created_before_the_first_start(cli: ServerCli) -> None:
    made = cli("agents", "create", "lyon", "--public-ssh-address", SSH)
    token = next(line for line in made.out.splitlines() if line.startswith("psa1_"))
    assert parse_token(token).servers == (SSH,)
    made = cli(*CONNECTION, *STORE, stdin=API_KEY + b"\n")
    assert (made.code, "http://127.0.0.1:8080/shop-lyon" in made.out) == (0, True)
    keys = cli("client-keys", "create", "--connection", "shop-lyon", "--expires", "90d", "--read-only").out.splitlines()
    assert sum(bool(re.fullmatch("[A-Z0-9]{32}", line)) for line in keys) == 1
    assert keys[-1] == "http://127.0.0.1:8080/shop-lyon"
    listed = cli("client-keys", "list", "--json").json
    assert (listed[0]["methods"], listed[0]["connections"]) == (["GET", "HEAD"], ["shop-lyon"])
    lifetime = datetime.fromisoformat(listed[0]["expires_at"]) - datetime.fromisoformat(listed[0]["created_at"])
    assert lifetime.total_seconds() == pytest.approx(90 * 86400, abs=5)
    table = cli("connections", "list").out.splitlines()
    assert table[0].split() == ["SLUG", "NAME", "MODE", "AGENT", "STORE", "STATE"]
    assert table[1].split() == ["shop-lyon", "Shop", "Lyon", "cloud", "-", "https://h.example/", "enabled"]


def test_the_settings_file_names_the_public_addresses(cli: ServerCli, tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text('public_ssh_address = "a.example:443"\npublic_gateway_url = "https://gw.example/"\n')
    config = ("--config", str(file))
    token = cli("agents", "create", "lyon", "--json", *config).json["access_token"]
    assert parse_token(token).servers == ("a.example:443",)
    made = cli(*CONNECTION, *STORE, "--json", *config, stdin=API_KEY)
    assert made.json["gateway_url"] == "https://gw.example/shop-lyon"


def test_a_stock_ssh_agent_gets_a_command_and_a_known_hosts_line(cli: ServerCli) -> None:
    create = ("agents", "create", "e", "--plain-ssh", "http://192.168.1.20:8080/api/", "--public-ssh-address", SSH)
    lines = cli(*create).out.splitlines()
    command = next(line for line in lines if line.startswith("ssh -N "))
    assert "-p 2222 -R store:80:192.168.1.20:8080 " in command
    assert command.endswith("@agents.example.com")
    assert any(line.startswith("[agents.example.com]:2222 ssh-ed25519 ") for line in lines)
    assert not any("psa1_" in line for line in lines)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", lines[-1])
    assert lines[-1] not in command


def test_the_public_address_is_asked_for_before_the_first_token(cli: ServerCli) -> None:
    assert "--public-ssh-address" in cli.refused(1, "agents", "create", "lyon")
    assert cli("agents", "list", "--json").json == []


def test_json_is_only_json_and_an_empty_list_says_what_to_do(cli: ServerCli) -> None:
    for group in ("agents", "connections", "client-keys"):
        assert cli(group, "list", "--json").json == []
        assert f"integration-server {group} create" in cli(group, "list").out


def test_deleting_asks_first(cli: ServerCli) -> None:
    cli(*CONNECTION, *STORE, stdin=API_KEY)
    asked = cli("connections", "delete", "shop-lyon", stdin=b"n\n")
    assert asked.code != 0
    assert len(cli("connections", "list", "--json").json) == 1
    assert cli("connections", "delete", "shop-lyon", stdin=b"y\n").code == 0
    assert cli("connections", "list", "--json").json == []


def test_an_agent_is_changed_and_listed_with_its_instances(cli: ServerCli) -> None:
    cli("agents", "create", "lyon", "--description", "rack 4", "--public-ssh-address", SSH)
    cli("agents", "create", "paris")
    assert "INSTANCES" not in cli("agents", "list").out
    said = cli("agents", "update", "lyon", "--max-instances", "2").out
    assert said.startswith("Agent lyon (")
    assert said.endswith("is updated; max instances: 2.\n")
    changed = cli("agents", "update", "lyon", "--description", "", "--json").json
    assert (changed["description"], changed["max_instances"]) == ("", 2)
    heading, lyon, paris = cli("agents", "list").out.splitlines()
    place = heading.index("MAX INSTANCES")
    assert (lyon[place], paris[place]) == ("2", "1")
    assert "--description TEXT" in cli.refused(1, "agents", "update", "lyon")
    assert "equal to 100" in cli.refused(1, "agents", "update", "lyon", "--max-instances", "101")
    cli("agents", "revoke", "lyon")
    assert "is revoked" in cli.refused(1, "agents", "update", "lyon", "--max-instances", "3")


def test_names_with_slashes_can_be_named(cli: ServerCli) -> None:
    cli("agents", "create", "a/b ?#%", "--public-ssh-address", SSH)
    assert cli("agents", "revoke", "a/b ?#%", "--json").json["state"] == "revoked"


@pytest.mark.parametrize(
    "arguments",
    [
        ("agents", "revoke", "x"),
        ("agents", "update", "x", "--max-instances", "2"),
        ("client-keys", "revoke", "x/../y"),
        ("connections", "disable", "x y"),
        ("connections", "test", "../status"),
    ],
)
def test_what_is_not_there_is_one_sentence(cli: ServerCli, arguments: tuple[str, ...]) -> None:
    assert "list shows those" in cli.refused(1, *arguments)


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "is not text"), (API_KEY[:-1], "this one has 31")],
)
def test_an_api_key_that_is_none_is_one_sentence(cli: ServerCli, stdin: bytes, sentence: str) -> None:
    refused = cli.refused(1, *CONNECTION, *STORE, stdin=stdin)
    assert sentence in refused
    assert "CANARY" not in refused


def test_an_api_key_file_that_is_not_there_is_one_sentence(cli: ServerCli, tmp_path: Path) -> None:
    assert "No such file" in cli.refused(1, *CONNECTION[:-1], str(tmp_path / "none"), *STORE)
    (tmp_path / "key").write_bytes(API_KEY + b"\n")
    assert cli(*CONNECTION[:-1], str(tmp_path / "key"), *STORE).code == 0


def test_without_a_terminal_the_api_key_is_not_asked_for(cli: ServerCli) -> None:
    assert "--api-key-file" in cli.refused(1, *CONNECTION[:-2], *STORE)


def test_an_address_with_two_readings_names_both(cli: ServerCli) -> None:
    refused = cli.refused(1, *CONNECTION, "--store-url", "https://h.example/shop/", stdin=API_KEY)
    assert "https://h.example/shop/api/ or https://h.example/api/" in refused


def test_without_a_server_nothing_can_be_tested(cli: ServerCli) -> None:
    cli(*CONNECTION, *STORE, stdin=API_KEY)
    assert "integration-server serve" in cli.refused(1, "connections", "test", "shop-lyon")


@pytest.mark.parametrize(
    ("toml", "environment", "sentence"),
    [
        ("[ssh\n", {}, "line 1"),
        ('data-dir = "/x"\n', {}, 'did you mean "data_dir"'),
        ("", {"INTEGRATION_SERVER_SSH__LISTEN": "2222"}, "INTEGRATION_SERVER_SSH__LISTEN"),
        ("", {"INTEGRATION_SERVER_KEY_RING": "1:TOOSHORT"}, "INTEGRATION_SERVER_KEY_RING"),
    ],
)
def test_wrong_settings_are_one_sentence_and_78(
    cli: ServerCli, tmp_path: Path, toml: str, environment: dict[str, str], sentence: str
) -> None:
    file = tmp_path / "server.toml"
    file.write_text(toml)
    refused = cli.refused(78, "--config", str(file), "agents", "list", environment=environment)
    assert sentence in refused
    assert "TOOSHORT" not in refused


def test_a_settings_file_that_was_named_must_be_there(cli: ServerCli, tmp_path: Path) -> None:
    assert "no settings file" in cli.refused(78, "--config", str(tmp_path / "none.toml"), "agents", "list")


@pytest.mark.parametrize("name", ["key-ring", "ssh_host_ed25519_key"])
@pytest.mark.parametrize("command", [("serve", *FREE), ("agents", "list")])
def test_key_files_that_others_can_read_are_refused_with_78(
    cli: ServerCli, name: str, command: tuple[str, ...]
) -> None:
    cli("agents", "list")
    (cli.data_dir / name).chmod(0o644)
    assert f"chmod 600 {cli.data_dir}/{name}" in cli.refused(78, *command)


def test_a_lost_key_ring_is_not_replaced_while_it_is_needed(cli: ServerCli) -> None:
    cli(*CONNECTION, *STORE, stdin=API_KEY)
    (cli.data_dir / "key-ring").unlink()
    assert "restore it from its back-up" in cli.refused(78, "serve", *FREE)
    assert not (cli.data_dir / "key-ring").exists()


@pytest.mark.parametrize("listener", ["--ssh-listen", "--gateway-listen", "--panel-listen"])
def test_a_port_in_use_is_one_sentence(cli: ServerCli, listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        given = dict(zip(FREE[::2], FREE[1::2], strict=True)) | {listener: address}
        assert address in cli.refused(1, "serve", *(part for pair in given.items() for part in pair))
    assert not (cli.data_dir / "admin.sock").exists()


def test_a_data_directory_that_cannot_be_made(cli: ServerCli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cli.data_dir = tmp_path / "file" / "data"
    for command in (("serve", *FREE), ("agents", "list")):
        assert "cannot be written" in cli.refused(1, *command)


def test_an_admin_socket_path_that_is_too_long(cli: ServerCli, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120) / "admin.sock"
    assert "107 bytes" in cli.refused(1, "serve", *FREE, "--admin-socket", str(path))
    assert cli("agents", "list", environment={"INTEGRATION_SERVER_ADMIN_SOCKET": str(path)}).code == 0


def test_a_ready_file_that_cannot_be_written(cli: ServerCli, tmp_path: Path) -> None:
    assert "ready file" in cli.refused(1, "serve", *FREE, "--ready-file", str(tmp_path / "none" / "ready.json"))


def test_a_directory_held_by_something_that_does_not_answer(cli: ServerCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.server.cli.admin.BUSY_PATIENCE_S", 0.2)
    with hold_data_directory(cli.data_dir):
        refused = cli.refused(1, "agents", "list")
        assert f"process {os.getpid()}" in refused
        assert "does not answer" in refused
        assert f"is using the data directory {cli.data_dir}" in cli.refused(1, "serve", *FREE)


def test_a_leftover_socket_is_no_obstacle(cli: ServerCli) -> None:
    cli("agents", "list")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(cli.data_dir / "admin.sock"))
    assert cli("agents", "list", "--json").json == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("client-keys", "create", "--connection", "x", "--expires", "soon"),
        ("client-keys", "create", "--connection", "x", "--read-only", "--methods", "PUT"),
        ("connections", "create", "--name", "x"),
        ("agents", "create"),
    ],
)
def test_wrong_usage_has_an_exit_code_of_its_own(cli: ServerCli, arguments: tuple[str, ...]) -> None:
    outcome = cli(*arguments)
    assert (outcome.code, "Traceback" in outcome.err) == (2, False)


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("serve",),
        ("agents", "create"),
        ("agents", "list"),
        ("agents", "update"),
        ("agents", "revoke"),
        ("agents", "show"),
        ("connections", "create"),
        ("connections", "update"),
        ("connections", "clone"),
        ("connections", "show"),
        ("connections", "try"),
        ("connections", "tests"),
        ("connections", "list"),
        ("connections", "test"),
        ("connections", "enable"),
        ("connections", "disable"),
        ("connections", "delete"),
        ("client-keys", "create"),
        ("client-keys", "list"),
        ("client-keys", "show"),
        ("client-keys", "revoke"),
    ],
)
def test_every_command_has_help_with_an_example(cli: ServerCli, command: tuple[str, ...]) -> None:
    page = cli(*command, "--help").out
    example = page.partition("Example")[2]
    assert " ".join(("integration-server", *command)) in example


def test_the_version(cli: ServerCli) -> None:
    assert cli("--version").out == f"integration-server {agent.__version__}\n"


def test_what_the_other_side_chose_cannot_move_the_cursor(cli: ServerCli) -> None:
    from agent.server.cli.output import print_table

    print_table(("NAME",), [("a\x1b[2Jb",)], "")
    assert "\x1b" not in cli("agents", "list").out
    made = cli("agents", "create", "\x1b[2J", "--public-ssh-address", SSH)
    assert (made.code, "\x1b" in made.out + made.err) == (1, False)
    assert json.loads(cli("agents", "list", "--json").out) == []
