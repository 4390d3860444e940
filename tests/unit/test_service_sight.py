"""Which files the service's user cannot read that root can: said when a store's CA is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.enrolment import service_sight
from agent.enrolment.service_sight import sight_warning


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(service_sight, "_HIDDEN", ("/root",))  # what this test makes is in /tmp
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory, "ca.pem")


def test_a_file_that_everybody_can_read_is_well(file: Path) -> None:
    file.touch()
    file.chmod(0o644)
    assert sight_warning(file) is None
    assert sight_warning(file.with_name("missing")) is None


def test_what_is_closed_is_named(file: Path) -> None:
    file.touch(mode=0o600)
    assert "(mode 0600)" in str(sight_warning(file))
    file.chmod(0o644)
    file.parent.chmod(0o700)
    assert f"({file.parent} lets nobody else in)" in str(sight_warning(file))


def test_what_the_unit_hides_is_named() -> None:
    assert "does not see /root" in str(sight_warning(Path("/root/ca.pem")))
