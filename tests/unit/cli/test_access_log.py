"""``prestashop-agent access-log``: what it shows of the files, and of which."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.access_files import AccessFiles
from agent.access_line import access_line
from agent.cli.access_log import access_log
from tests.unit.test_access_log import record


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings whose access log has four lines: old, good, of another store, failed."""
    now = time.time()
    failed = replace(record(3), status=504, error="store_timeout", elapsed_s=120.0)
    lines = [
        (now - 7200, record(0)),
        (now, record(1)),
        (now, replace(record(2), store="https://other.example.com/\x1b[2J")),
        (now, failed),
    ]
    files = AccessFiles(tmp_path / "state" / "access", retention_days=3, max_bytes=10_000_000)
    files.write((at, access_line(at, each)) for at, each in lines)
    files.close()
    (tmp_path / "agent.toml").write_text(f'state_dir = "{tmp_path / "state"}"\n')
    return tmp_path / "agent.toml"


def shown(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(access_log, ["--config", str(config), *arguments], catch_exceptions=False)


def test_a_line_each_and_nothing_that_moves_the_cursor(config: Path) -> None:
    lines = [line[20:] for line in shown(config).output.splitlines()]
    assert lines == [
        "200 GET        34 ms http://shop.example.com/ /api/products?limit&display",
        "200 GET        34 ms https://other.example.com/\\x1b[2J /api/products?limit&display",
        "504 GET    120000 ms store_timeout http://shop.example.com/ /api/products?limit&display",
    ]


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (["--since", "1d"], ["rid-0", "rid-1", "rid-2", "rid-3"]),
        (["--since", "2020-01-31"], ["rid-0", "rid-1", "rid-2", "rid-3"]),
        (["--errors"], ["rid-3"]),
        (["--store", "http://shop.example.com/admin123/"], ["rid-1", "rid-3"]),
        (["--store", "https://nowhere.example.com"], []),
    ],
)
def test_what_is_chosen(arguments: list[str], ids: list[str], config: Path) -> None:
    lines = shown(config, "--json", *arguments).stdout.splitlines()
    assert [json.loads(line)["request_id"] for line in lines] == ids


def test_nothing_and_nonsense(config: Path) -> None:
    assert "Nothing of that in the access log in" in shown(config, "--store", "https://nowhere.example.com").output
    config.write_text(config.read_text() + "access_log.enabled = false\n")
    assert "switched off (access_log.enabled)" in shown(config, "--store", "https://nowhere.example.com").output
    assert shown(config, "--since", "soon").exit_code == 2
