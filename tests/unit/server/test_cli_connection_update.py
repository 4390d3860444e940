"""``connections update`` as a command: the key is read at every edit, and what is not given stays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.kit.server_cli import ServerCli

KEY = b"CANARY0API0KEY0CANARY0API0KEY012"
CREATE = ("connections", "create", "--name", "Shop Lyon", "--mode", "cloud", "--store-url", "https://h.example/api/")
UPDATE = ("connections", "update", "shop-lyon")
STDIN = ("--api-key-file", "-")
SSH = "agents.example.com:2222"


@pytest.fixture(autouse=True)
def _connection(cli: ServerCli) -> None:
    assert cli(*CREATE, "--shop-host", "www.h.example", "--id-shop", "2", *STDIN, stdin=KEY).code == 0


def test_every_option_reaches_the_record_and_the_rest_stays(cli: ServerCli) -> None:
    assert cli("agents", "create", "warehouse", "--public-ssh-address", SSH).code == 0
    before = cli("connections", "list", "--json").json[0]
    given = (
        *("--name", "Shop Paris", "--mode", "on-premise", "--agent", "warehouse", "--key-in", "ws_key"),
        *("--store-url", "https://new.example/api/", "--id-shop", "3", "--virtual-uri", "fr"),
        *("--methods", "GET,PUT", "--resources", "orders,customers", "--concurrency", "2"),
    )
    changed = cli(*UPDATE, *given, "--json", *STDIN, stdin=KEY).json
    assert changed["slug"] == before["slug"]
    assert changed["gateway_url"] == before["gateway_url"]
    assert (changed["name"], changed["mode"], changed["agent_name"]) == ("Shop Paris", "on-premise", "warehouse")
    assert (changed["webservice_url"], changed["id_shop"]) == ("https://new.example/fr/api/", "3")
    assert (changed["key_in"], changed["methods"], changed["concurrency"]) == ("ws_key", ["GET", "PUT"], 2)
    assert changed["resources"] == ["customers", "orders"]
    again = cli(*UPDATE, "--read-only", "--resources", "all", "--id-shop", "", "--json", *STDIN, stdin=KEY).json
    expected = {"methods": ["GET", "HEAD"], "resources": None, "id_shop": "", "updated_at": again["updated_at"]}
    expected["version"] = again["version"]
    assert again == changed | expected


def test_the_shop_host_is_changed_and_dropped(cli: ServerCli) -> None:
    assert cli(*UPDATE, "--shop-host", "b.example", "--json", *STDIN, stdin=KEY).json["shop_host"] == "b.example"
    assert cli(*UPDATE, "--shop-host", "", "--json", *STDIN, stdin=KEY).json["shop_host"] is None


def test_people_are_told_the_addresses_and_whether_it_is_off(cli: ServerCli, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    said = cli(*UPDATE, "--store-url", "https://new.example/api/", "--api-key-file", str(tmp_path / "key")).out
    assert said.splitlines()[:3] == [
        "Connection shop-lyon is updated.",
        "  store     https://new.example/api/",
        "  gateway   http://127.0.0.1:8080/shop-lyon",
    ]
    cli("connections", "disable", "shop-lyon")
    said = cli(*UPDATE, *STDIN, stdin=KEY).out
    assert said.startswith("Connection shop-lyon is updated; it is disabled, as before.\n")
    assert KEY.decode() not in said


@pytest.mark.parametrize(("stdin", "arguments"), [(KEY, ()), (b"", STDIN), (KEY[:-1], STDIN)])
def test_without_the_key_it_is_one_sentence_and_nothing_changes(
    cli: ServerCli, stdin: bytes, arguments: tuple[str, ...]
) -> None:
    before = cli("connections", "list", "--json").json
    refused = cli.refused(1, *UPDATE, "--store-url", "https://new.example/api/", *arguments, stdin=stdin)
    assert "key" in refused
    assert "CANARY" not in refused
    assert cli("connections", "list", "--json").json == before


def test_at_a_terminal_the_key_is_asked_for(cli: ServerCli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def prompt(text: str, *, hide_input: bool, err: bool) -> str:
        assert err
        asked.append((text, hide_input))
        return KEY.decode()

    monkeypatch.setattr("agent.server.cli.connection_options.click.prompt", prompt)
    monkeypatch.setattr("agent.server.cli.secret_input.sys", _Terminal())
    assert cli(*UPDATE, "--concurrency", "3", "--json").json["concurrency"] == 3
    assert asked == [("API key (webservice key of the shop)", True)]


class _Terminal:
    """``sys`` whose standard input is a terminal."""

    def __getattr__(self, name: str) -> object:
        return self if name == "stdin" else getattr(sys, name)

    def isatty(self) -> bool:
        return True


def test_read_only_and_methods_exclude_each_other(cli: ServerCli) -> None:
    assert cli(*UPDATE, "--read-only", "--methods", "PUT", *STDIN, stdin=KEY).code == 2


def test_an_unknown_slug_is_one_sentence(cli: ServerCli) -> None:
    assert "list shows those" in cli.refused(1, "connections", "update", "x y", *STDIN, stdin=KEY)
