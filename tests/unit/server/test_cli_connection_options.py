"""Every setting of a connection by command: given, changed, dropped; what cannot be read is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kit.certificates import CertificateAuthority
from tests.kit.server_cli import ServerCli

KEY = b"CANARY0API0KEY0CANARY0API0KEY012"
STDIN = ("--api-key-file", "-")
CLOUD = ("--mode", "cloud", "--store-url", "https://h.example/api/", *STDIN)
CREATE = ("connections", "create", "--name", "Shop Lyon", *CLOUD)
UPDATE = ("connections", "update", "shop-lyon", *STDIN)
NAMES = (*("headers", "response_timeout_s", "test_path", "test_method", "ca_pem", "verify_tls", "methods"),)


def settings(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in NAMES}


def test_all_settings_are_made_changed_and_dropped_by_command(cli: ServerCli, tmp_path: Path) -> None:
    ca_file = CertificateAuthority(tmp_path).ca_file
    (tmp_path / "headers").write_text("X-Two: b: c\n\n  X-Three :3\r\n")
    made = cli(
        *CREATE,
        *("--header", "X-One: a", "--headers-file", str(tmp_path / "headers"), "--response-timeout", "12.5"),
        *("--test-path", "/api/products?limit=1", "--test-method", "HEAD", "--ca-file", str(ca_file)),
        *("--no-verify-tls", "--read-only", "--json"),
        stdin=KEY,
    ).json
    first = {
        "headers": [
            {"name": "X-One", "value": "a"},
            {"name": "X-Two", "value": "b: c"},
            {"name": "X-Three", "value": "3"},
        ],
        "response_timeout_s": 12.5,
        "test_path": "/api/products?limit=1",
        "test_method": "HEAD",
        "ca_pem": ca_file.read_text(),
        "verify_tls": False,
        "methods": ["GET", "HEAD"],
    }
    assert settings(made) == first
    assert settings(cli(*UPDATE, "--concurrency", "3", "--json", stdin=KEY).json) == first
    changed = cli(*UPDATE, "--header", "X-Four: 4", "--verify-tls", "--read-write", "--json", stdin=KEY).json
    assert changed["headers"] == [{"name": "X-Four", "value": "4"}]
    assert (changed["verify_tls"], len(changed["methods"])) == (True, 6)
    drop = ("--header", "", "--response-timeout", "", "--test-path", "", "--test-method", "GET", "--ca-file", "")
    assert settings(cli(*UPDATE, *drop, "--json", stdin=KEY).json) == {
        "headers": [],
        "response_timeout_s": None,
        "test_path": "/api/",
        "test_method": "GET",
        "ca_pem": None,
        "verify_tls": True,
        "methods": changed["methods"],
    }
    (tmp_path / "key").write_bytes(KEY)
    by_stdin = ("connections", "update", "shop-lyon", "--headers-file", "-", "--api-key-file", str(tmp_path / "key"))
    assert cli(*by_stdin, "--json", stdin=b"X-Five: 5\n").json["headers"] == [{"name": "X-Five", "value": "5"}]


@pytest.mark.parametrize(
    ("code", "arguments", "sentence"),
    [
        (2, ("--header", "CANARY"), "write header 1 as 'Name: value'"),
        (2, ("--header", "X-A: 1", "--header", ": CANARY"), "write header 2"),
        (2, ("--response-timeout", "CANARY"), "write a number of seconds"),
        (2, ("--read-write", "--methods", "GET"), "leave out --read-only and --read-write"),
        (2, ("--headers-file", "-"), "Standard input can hold the API key or the headers"),
        (2, ("--test-method", "PUT"), "--test-method"),
        (1, ("--response-timeout", "601"), "600"),
        (1, ("--header", "Host: CANARY"), 'The header "Host" cannot be set'),
        (1, ("--test-path", "/api/products?ws_key=CANARY"), "must not contain ws_key"),
        (1, ("--ca-file", "{none}"), "No such file"),
        (1, ("--ca-file", "{binary}"), "is not text"),
        (1, ("--ca-file", "{folder}"), "Is a directory"),
        (1, ("--headers-file", "{none}"), "No such file"),
        (1, ("--headers-file", "{long}"), "is longer than 65536 bytes"),
        (1, ("--ca-file", "{long}"), "is longer than 65536 bytes"),
    ],
)
def test_what_cannot_be_is_said_without_repeating_it_and_makes_nothing(
    cli: ServerCli, tmp_path: Path, code: int, arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_bytes(b"X-A: CANARY\n" * 6000)
    places = {name: str(tmp_path / name) for name in ("none", "binary", "long")} | {"folder": str(tmp_path)}
    outcome = cli(*CREATE, *(each.format(**places) for each in arguments), stdin=KEY)
    assert (outcome.code, sentence in outcome.err) == (code, True), outcome.err
    assert "CANARY" not in outcome.err + outcome.out
    assert cli("connections", "list", "--json").json == []


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_key_file_that_others_can_read_is_used_and_warned_of(
    cli: ServerCli, tmp_path: Path, mode: int, warned: bool
) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY)
    file.chmod(mode)
    made = cli(*CREATE[:-1], str(file), "--json")
    assert (made.code, made.json["slug"]) == (0, "shop-lyon")
    assert (f"warning: others can read {file}" in made.err and f"chmod 600 {file}" in made.err) is warned
    assert made.err.count("\n") == warned
    assert "CANARY" not in made.err
