"""The packages removed and purged: a clean Debian is as it was before, and can have them again (test_installed.py)."""

from __future__ import annotations

import pytest

from tests.kit.debian_root import DebianRoot
from tests.packaging.conftest import Built

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


def test_purge_leaves_the_files_as_they_were(debian: DebianRoot, clean: frozenset[str], built: Built) -> None:
    debian.run("dpkg", "-i", debian.put(built.deb))
    assert debian.files() > clean
    assert debian.run("dpkg", "-V", built.name) == ""
    assert debian.run("getent", "passwd", built.name).endswith("/usr/sbin/nologin\n")
    for place in (f"etc/{built.name}/token", f"var/lib/{built.name}/instance"):
        (debian.folder / place).parent.mkdir(exist_ok=True)
        (debian.folder / place).write_text("made while it was used")
    debian.run("dpkg", "-r", built.name)
    assert not (debian.folder / f"usr/lib/{built.name}").exists()
    assert (debian.folder / f"etc/{built.name}/token").exists(), "removal keeps settings"
    debian.run("dpkg", "-P", built.name)
    assert debian.files() == clean
    debian.run("getent", "passwd", built.name, code=2)
    debian.run("getent", "group", built.name, code=2)
