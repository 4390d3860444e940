"""People, API tokens and the audit trail by command."""

from __future__ import annotations

import re

import pytest

from tests.kit.server_cli import ServerCli


def test_people(cli: ServerCli) -> None:
    made = cli("people", "invite", "anne", "--role", "admin").out
    assert re.search(r"^/welcome/[\w-]{43}$", made, re.MULTILINE)
    assert "set\npublic_panel_url in the settings file" in made
    made = cli(
        "people", "invite", "victor", environment={"INTEGRATION_SERVER_PUBLIC_PANEL_URL": "https://p.example"}
    ).out
    assert re.search(r"^https://p\.example/welcome/[\w-]{43}$", made, re.MULTILINE)
    assert "exists" in cli.refused(1, "people", "invite", "Anne")
    assert cli("people", "role", "victor", "editor").out == "victor is editor now.\n"
    assert "sessions are ended" in cli("people", "disable", "victor").out
    assert "enable them first" in cli.refused(1, "people", "link", "victor")
    listed = cli("people", "list").out
    assert re.search(r"victor +editor +disabled", listed)
    assert re.search(r"anne +admin +invited", listed)
    assert "is enabled" in cli("people", "enable", "victor").out
    assert "/welcome/" in cli("people", "link", "victor").out
    assert "is deleted" in cli("people", "delete", "victor", "--yes").out
    assert "Nobody has this id or name" in cli.refused(1, "people", "role", "victor", "viewer")


def test_tokens(cli: ServerCli) -> None:
    assert "There is no API token" in cli("tokens", "list").out
    made = cli("tokens", "create", "ci", "--scope", "agents:read", "--expires", "90d").out
    secret = re.search(r"^ist_[\w-]{43}$", made, re.MULTILINE)
    assert secret is not None
    assert "to /v1/...\n" in made
    assert "public_panel_url" in made
    known = {"INTEGRATION_SERVER_PUBLIC_PANEL_URL": "https://p.example"}
    made = cli("tokens", "create", "other", environment=known).out
    assert made.endswith("to https://p.example/v1/...\n")
    listed = cli("tokens", "list").out
    assert re.search(r"ci +viewer +agents:read", listed)
    assert secret[0] not in listed
    assert "is revoked" in cli("tokens", "revoke", "ci").out
    assert re.search(r"ci +viewer +agents:read .* revoked +- ", cli("tokens", "list").out)
    assert "Scopes are" in cli.refused(1, "tokens", "create", "x", "--scope", "everything")


@pytest.mark.parametrize(("since", "found"), [("1d", True), ("2020-01-01", True), ("2999-01-01", False)])
def test_audit(cli: ServerCli, since: str, found: bool) -> None:
    cli("people", "invite", "anne")
    shown = cli("audit", "--since", since, "--action", "person.").out
    assert ("person.invited" in shown) is found
    assert cli("audit", "--since", since, "--json").json == [] or found
