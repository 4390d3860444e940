"""Looking at one connection, agent or client key, filtered lists, and copies, by command."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.server.cli.agent_page import show_agent
from agent.tunnel.messages import Grant
from tests.kit.server_cli import ServerCli

KEY = b"CANARY0API0KEY0CANARY0API0KEY012"
STDIN = ("--api-key-file", "-")
SSH = "agents.example.com:2222"


@pytest.fixture(autouse=True)
def _records(cli: ServerCli, tmp_path: Path) -> None:
    assert (
        cli("agents", "create", "warehouse", "--public-ssh-address", SSH, "--description", "rack 4\nask Anne").code == 0
    )
    create = ("connections", "create", *STDIN, "--store-url", "https://h.example/api/", "--name")
    headers = ("--header", "X-One: 1", "--header", "X-Two: 2")
    on_premise = ("--mode", "on-premise", "--agent", "warehouse")
    assert cli(*create, "Shop Lyon", "--mode", "cloud", "--no-verify-tls", *headers, stdin=KEY).code == 0
    assert cli(*create, "Shop Paris", *on_premise, "--resources", "orders,customers", stdin=KEY).code == 0
    assert cli("connections", "disable", "shop-paris").code == 0
    assert (
        cli("client-keys", "create", "--connection", "shop-lyon", "--name", "erp", "--expires", "2999-01-31").code == 0
    )


def test_a_connection_with_all_that_is_set_and_no_key(cli: ServerCli) -> None:
    lines = cli("connections", "show", "Shop Lyon").out.splitlines()
    shown = dict(line.split(maxsplit=1) for line in lines if line.split()[0] in ("slug", "state", "gateway", "methods"))
    assert shown == {
        "slug": "shop-lyon",
        "state": "enabled",
        "gateway": "http://127.0.0.1:8080/shop-lyon",
        "methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    }
    whole = "\n".join(lines)
    assert "headers           X-One: 1\n                  X-Two: 2\n" in whole
    assert "certificate       not checked" in whole
    assert "The store's certificate is not checked" in whole
    assert "as the settings of the server say" in whole
    as_json = cli("connections", "show", "shop-lyon", "--json")
    assert as_json.json["version"]
    assert "CANARY" not in whole + as_json.out
    paris = cli("connections", "show", "shop-paris").out
    assert "checked by the agent, as its settings say" in paris
    assert "resources         customers, orders" in paris
    assert "list shows those" in cli.refused(1, "connections", "show", "x y")


def test_an_agent_and_a_client_key(cli: ServerCli) -> None:
    shown = cli("agents", "show", "warehouse").out
    assert "state            awaiting install" in shown
    assert "description      rack 4\n                 ask Anne\n" in shown
    assert "connections      1" in shown
    assert "stores it opens  not known yet" in shown
    assert cli("agents", "show", "warehouse", "--json").json["name"] == "warehouse"
    assert "list shows those" in cli.refused(1, "agents", "show", "nobody")
    shown = cli("client-keys", "show", "erp").out
    assert "connections  shop-lyon\n" in shown
    assert "expires      2999-02-01 00:00 UTC" in shown
    assert cli("client-keys", "show", "erp", "--json").json["state"] == "active"
    assert "list shows those" in cli.refused(1, "client-keys", "show", "nobody")


def test_an_agent_that_is_connected(cli: ServerCli, capsys: pytest.CaptureFixture[str]) -> None:
    agent = cli("agents", "show", "warehouse", "--json").json
    grant = Grant(scheme="https", host="h", port=443, base_path="/", id_shop="2", methods=frozenset({"HEAD", "GET"}))
    instance = {
        "id": "0a1b2c3d",
        "host": "\x1b[2J",
        "version": "1",
        "peer": "192.0.2.1",
        "tunnels": 2,
        "draining": True,
        "connected_at": "2026-11-25T10:00:00Z",
        "round_trip_ms": 12.4,
    }
    details = {"host": "h", "peer": "192.0.2.1", "instances": [instance]}
    show_agent({**agent, "client_details": details, "grants": [grant.model_dump(mode="json")]})
    shown = capsys.readouterr().out
    assert "https://h/?id_shop=2: GET, HEAD; all resources" in shown
    assert "from 192.0.2.1, 2 tunnels since 2026-11-25 10:00 UTC, 12 ms away, draining" in shown
    assert "\x1b" not in shown


def test_lists_are_filtered(cli: ServerCli) -> None:
    def slugs(*arguments: str) -> list[str]:
        return [each["slug"] for each in cli("connections", "list", "--json", *arguments).json]

    assert slugs("--mode", "cloud") == ["shop-lyon"]
    assert slugs("--agent", "warehouse") == ["shop-paris"]
    assert slugs("--state", "disabled") == ["shop-paris"]
    assert slugs("--state", "enabled", "--mode", "on-premise") == []
    assert slugs("--state", "needs-key") == []
    assert "leave out --search" in cli("connections", "list", "--state", "needs-key").out
    assert [each["name"] for each in cli("agents", "list", "--json", "--state", "awaiting-install").json] == [
        "warehouse"
    ]
    assert "leave out --search" in cli("agents", "list", "--state", "online").out
    assert len(cli("client-keys", "list", "--json", "--connection", "shop-lyon", "--state", "active").json) == 1
    assert "leave out --search" in cli("client-keys", "list", "--state", "revoked").out


def test_what_was_imported_needs_its_key(cli: ServerCli, tmp_path: Path) -> None:
    assert cli("export", str(tmp_path / "shops.json")).code == 0
    assert cli("connections", "delete", "shop-lyon", "--yes").code == 0
    assert cli("import", str(tmp_path / "shops.json")).code == 0
    found = cli("connections", "list", "--json", "--state", "needs-key").json
    assert [each["name"] for each in found] == ["Shop Lyon"]
    disabled = cli("connections", "list", "--json", "--state", "disabled").json
    assert [each["name"] for each in disabled] == ["Shop Paris"]


def test_a_copy_needs_a_key_of_its_own(cli: ServerCli) -> None:
    clone = ("connections", "clone", "shop-lyon", "--name", "Shop Nice")
    assert "--api-key-file" in cli.refused(1, *clone)
    made = cli(*clone, *STDIN, stdin=KEY).out
    assert made.startswith("Connection shop-nice is registered.\n")
    assert "CANARY" not in made
    assert [each["name"] for each in cli("connections", "show", "shop-nice", "--json").json["headers"]] == [
        "X-One",
        "X-Two",
    ]
