"""Root in a directory of the agent's user: links of that user lead nowhere."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from agent.as_owner import as_owner
from agent.enrolment.places import AgentPlaces
from agent.enrolment.removal import Leftovers
from agent.errors import StartError

NOBODY = 65534


def test_whoever_is_not_root_stays_who_they_are(tmp_path: Path) -> None:
    before = os.geteuid(), os.getegid()
    for directory in (tmp_path, tmp_path / "missing"):
        with as_owner(directory):
            assert (os.geteuid(), os.getegid()) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can meet another user's link")
def test_unenroll_is_not_led_elsewhere() -> None:
    with tempfile.TemporaryDirectory(prefix="as-owner-") as name:
        root = Path(name)
        root.chmod(0o755)
        victim, state = root / "other" / "access-2026-11-26.jsonl", root / "state"
        for directory in (victim.parent, state):
            directory.mkdir()
        victim.touch()
        (state / "access").symlink_to(victim.parent)
        for path in (state, state / "access"):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        environ = {f"{kind}_DIRECTORY": str(root / kind.lower()) for kind in ("CONFIGURATION", "RUNTIME")}
        left = Leftovers.of(AgentPlaces.of(None, None, {**environ, "STATE_DIRECTORY": str(state)}, is_root=False))
        with pytest.raises(StartError, match="cannot be removed"):
            left.remove(with_settings=True)
        assert victim.exists()
        assert os.geteuid() == 0
