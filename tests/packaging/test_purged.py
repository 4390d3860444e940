"""The packages removed and purged: a clean Debian is as it was before, and can have them again (test_installed.py)."""

from __future__ import annotations

import pytest

from tests.kit.debian_root import DebianRoot
from tests.packaging.conftest import Built

UNITS = "/usr/lib/systemd/system"
OURS = {"prestashop-agent.service": f"{UNITS}/prestashop-agent.service",
        "prestashop-agent@lyon.service": "/lib/systemd/system/prestashop-agent@.service"}  # fmt: skip
ALIKE = {"prestashop-agent-exporter.service": f"{UNITS}/prestashop-agent-exporter.service",
         "prestashop-agent-backup.timer": "/etc/systemd/system/prestashop-agent-backup.timer"}  # fmt: skip

pytestmark = [pytest.mark.long, pytest.mark.timeout(300), pytest.mark.xdist_group("debian")]  # it is made once


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


def test_purge_takes_nothing_that_is_called_alike_and_ends_where_something_is_in_its_way(
    debian: DebianRoot, clean: frozenset[str], packages: dict[str, Built]
) -> None:
    script = debian.put(packages["prestashop-agent"].unpacked / "DEBIAN/postrm")
    wants = debian.folder / "etc/systemd/system/multi-user.target.wants"
    was_there = wants.is_dir()
    wants.mkdir(parents=True, exist_ok=True)
    for name, target in (OURS | ALIKE).items():
        (wants / name).symlink_to(target)
    state, elsewhere = debian.folder / "var/lib/prestashop-agent", debian.folder / "srv/agent"
    elsewhere.mkdir()
    state.mkdir()
    mounted = "mount -t tmpfs none /var/lib/prestashop-agent && touch /var/lib/prestashop-agent/instance"
    said = debian.run("sh", "-c", f"{mounted} && sh {script} purge && ls -A /var/lib/prestashop-agent")
    assert said.endswith("/var/lib/prestashop-agent is not removed whole: is something mounted there?\n")
    assert {link.name for link in wants.iterdir()} & {*OURS, *ALIKE} == {*ALIKE}
    debian.run("useradd", "--uid", "1234", "prestashop-agent")
    state.rmdir()
    state.symlink_to("/srv/agent")
    assert "leads to /srv/agent, which is not removed" in debian.run("sh", script, "purge")
    debian.run("userdel", "prestashop-agent")  # it is still there
    for name in ALIKE:
        (wants / name).unlink()
    if not was_there:
        wants.rmdir()
    elsewhere.rmdir()
    assert debian.files() == clean
