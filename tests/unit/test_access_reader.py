"""Reading the access log: over midnight, while it is written, and whatever others put into its directory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.access_files import access_files
from agent.access_line import access_line, shown_time
from agent.access_reader import AccessReader
from agent.cli.access_log import access_log
from tests.unit.test_access_log import MIDNIGHT, files_in, record


def test_the_reader_follows_over_midnight_and_leaves_out_what_is_half(tmp_path: Path) -> None:
    files = files_in(tmp_path)

    def add(at: float, number: int) -> None:
        files.write([(at, access_line(at, record(number)))])

    def read() -> list[str]:
        return [entry["request_id"] for entry in reader.lines()]

    for at, number in ((MIDNIGHT - 7200, 1), (MIDNIGHT - 60, 2)):
        add(at, number)
    reader = AccessReader(tmp_path / "access", MIDNIGHT - 3600)
    assert read() == ["rid-2"]
    add(MIDNIGHT - 1, 3)
    add(MIDNIGHT + 1, 4)
    assert read() == ["rid-3", "rid-4"]
    with access_files(tmp_path / "access")[-1].path.open("ab") as file:
        whole = access_line(MIDNIGHT + 2, record(5))
        file.write(b"nonsense\n[]\n{}\n" + whole[:40])
        file.flush()
        assert read() == []
        file.write(whole[40:])
    assert read() == ["rid-5"]
    files.close()
    assert shown_time(MIDNIGHT) == "2026-11-27T00:00:00.000Z"
    assert list(AccessReader(tmp_path / "nowhere", 0).lines()) == []


@pytest.mark.parametrize("planted", ["link", "fifo"])
def test_the_reader_is_not_led_elsewhere(planted: str, tmp_path: Path) -> None:
    """Root reads what the agent's user may have put there."""
    elsewhere = files_in(tmp_path / "elsewhere")
    elsewhere.write([(MIDNIGHT, access_line(MIDNIGHT, record()))])
    (tmp_path / "access").mkdir()
    place = tmp_path / "access" / "access-2026-11-27.jsonl"
    if planted == "link":
        place.symlink_to(access_files(elsewhere.directory)[0].path)
    else:
        os.mkfifo(place)
    with pytest.raises(OSError, match=r"regular|symbolic"):
        list(AccessReader(place.parent, 0.0).lines())


def test_what_others_wrote_cannot_move_the_cursor(tmp_path: Path) -> None:
    """Root reads it at a terminal; JSON alone lets C1 codes and bidirectional marks through."""
    (tmp_path / "access").mkdir()
    line = json.loads(access_line(MIDNIGHT, record())) | {"path": "/\x9b2J\u202e", "method": "\x1b]0;x\x07"}
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    (tmp_path / "access" / "access-2026-11-27.jsonl").write_text(text + "\n")
    config = tmp_path / "agent.toml"
    config.write_text(f'state_dir = "{tmp_path}"\n')
    for more in ([], ["--json"]):
        given = ["--config", str(config), "--since", "2026-11-26T00:00Z", *more]
        out = CliRunner().invoke(access_log, given, catch_exceptions=False).stdout
        assert "shop.example.com" in out
        assert out.rstrip("\n").isascii()
        assert out.rstrip("\n").isprintable()
