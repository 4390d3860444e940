"""A peer that cannot run here is left out with its reason; results are written for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.tunnels import peers
from tests.bench.tunnels.place import Place
from tests.bench.tunnels.run import save, start
from tests.bench.tunnels.store import StorePorts


def test_a_peer_that_is_not_installed_is_left_out_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "SNITUN_PACKAGES", tmp_path)
    tunnels, absent = start(("direct", "snitun"), Place(tmp_path), StorePorts(81, 82, 83), lambda port: port + 1000)
    assert [tunnel.url for tunnel in tunnels] == ["http://127.0.0.1:1081/api/"]
    assert absent["snitun"].startswith("not installed")


def test_results_are_written_into_a_folder_that_need_not_be_there(tmp_path: Path) -> None:
    save("bench", tmp_path / "a" / "b", {"rounds": 5}, "| table |\n")
    assert json.loads((tmp_path / "a" / "b" / "bench.json").read_text()) == {"rounds": 5}
    assert (tmp_path / "a" / "b" / "bench.md").read_text() == "| table |\n"
