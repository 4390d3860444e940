"""All that is missing is named at once, as Debian packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.tunnels import place


def test_all_missing_packages_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "TOOLS", {"sh": "dash", "no-such-nginx": "nginx-light", "no-such-wrk": "wrk"})
    monkeypatch.setattr(place, "ECHO_MODULE", tmp_path / "absent.so")
    with pytest.raises(place.MissingToolError) as error:
        place.require_tools()
    assert str(error.value).endswith("apt-get install --no-install-recommends libnginx-mod-http-echo nginx-light wrk")
