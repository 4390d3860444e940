"""The packages on a clean Debian without network and pip: used, and upgraded."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import agent
from agent.tunnel.token import AccessToken, new_secret
from tests.kit.debian_root import DebianRoot
from tests.packaging.conftest import PRODUCTS, Built

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

HOME = "usr/lib/prestashop-agent"
NEWER = "9999"
LATE_IMPORT = f"""
import os, sys
sys.path.insert(0, os.path.realpath("/{HOME}/current"))
import asyncssh  # with its compiled libraries, as in a running agent
print("started", flush=True)
input()
import agent.checkup.run
print("found", agent.checkup.run.__file__, flush=True)
"""


@pytest.fixture(scope="module", params=PRODUCTS)
def installed(request: pytest.FixtureRequest, debian: DebianRoot, packages: dict[str, Built]) -> Iterator[Built]:
    """A package that is there for all tests of it."""
    built = packages[request.param]
    debian.run("dpkg", "-i", debian.put(built.deb))
    yield built
    debian.run("dpkg", "-P", built.name)


only_agent = pytest.mark.parametrize("installed", ["prestashop-agent"], indirect=True)


def newer(built: Built, folder: Path, *, without: str) -> Path:
    """The same package with a higher version, and without one module."""
    tree = folder / "newer"
    shutil.copytree(built.unpacked, tree, symlinks=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {NEWER}", control.read_text(), flags=re.MULTILINE))
    (tree / HOME / "packaged" / without).unlink()
    file = folder / f"newer_{NEWER}.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(tree), str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return file


def releases(debian: DebianRoot) -> set[str]:
    return {release.name for release in (debian.folder / HOME / "releases").iterdir()}


def current(debian: DebianRoot) -> str:
    return (debian.folder / HOME / "current").readlink().name


def test_it_works_without_pip_and_network(debian: DebianRoot, installed: Built) -> None:
    name = installed.name
    debian.run("python3", "-m", "pip", "--version", code=1)
    assert debian.run(name, "--version") == f"{name} {agent.__version__}\n"
    shown = debian.run(name, "--help")
    assert "Examples:" in shown and "demo" not in shown
    assert "is running here" in debian.run(name, "status", code=3)
    compiled = debian.folder / (debian.folder / f"usr/lib/{name}/current").readlink().relative_to("/")
    assert list(compiled.glob("agent/__pycache__/errors.*.pyc")), "it was compiled, so that it starts quickly"
    assert not list((debian.folder / f"usr/lib/{name}/packaged").rglob("*.pyc"))


def test_every_command_can_be_loaded(debian: DebianRoot, installed: Built) -> None:
    listed = debian.run(installed.name, "--help").partition("Commands:\n")[2].partition("\n\n")[0]
    commands = re.findall(r"^  ([a-z][a-z-]*)", listed, re.MULTILINE)
    assert len(commands) >= 3
    script = "; ".join(f"{installed.name} {command} --help >/dev/null || echo {command}" for command in commands)
    assert debian.run("sh", "-c", script) == ""


def test_nothing_of_the_users_python_gets_in(debian: DebianRoot, installed: Built) -> None:
    elsewhere = debian.folder / "tmp/click"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "__init__.py").write_text("raise SystemExit('the wrong click')")
    shown = debian.run("sh", "-c", f"cd /tmp && PYTHONPATH=/tmp PYTHONHOME=/nowhere {installed.name} --version")
    assert shown == f"{installed.name} {agent.__version__}\n"


@pytest.mark.parametrize(("words", "wanted"), [(["sta"], "status"), (["status", "--js"], "--json"), ([""], "status")])
def test_bash_completes(debian: DebianRoot, installed: Built, words: list[str], wanted: str) -> None:
    file = f"/usr/share/bash-completion/completions/{installed.name}"
    function = f"_{installed.name.replace('-', '_')}_completion"
    line = " ".join(f"'{word}'" for word in [installed.name, *words])
    asked = f"source {file}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; {function} {installed.name}"
    completed = debian.run("bash", "-c", f'{asked}; printf "%s\\n" "${{COMPREPLY[@]}}"').split()
    assert wanted in completed
    assert all(each.startswith(words[-1]) for each in completed)


@only_agent
def test_the_sample_settings_are_right_and_open_nothing(debian: DebianRoot, installed: Built) -> None:
    answer = debian.run("prestashop-agent", "config", "check", code=78)
    assert "token" in answer, "all that is missing"
    token = AccessToken(("127.0.0.1:1",), ("SHA256:" + "A" * 43,), "a" * 32, new_secret()).encode()
    file = debian.folder / "etc/prestashop-agent/token"
    file.write_text(token)
    file.chmod(0o600)
    debian.run("prestashop-agent", "config", "check")


@only_agent
def test_an_upgrade_keeps_settings_and_takes_nothing_from_what_runs(
    debian: DebianRoot, installed: Built, tmp_path: Path
) -> None:
    settings = debian.folder / "etc/prestashop-agent/agent.toml"
    settings.write_text("tunnels = 1\n")
    old = current(debian)
    python = ["python3", "-IS", "-c", LATE_IMPORT]
    with subprocess.Popen(debian.command(*python), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "started\n"
        # In the same namespace of processes: the upgrade has to see what runs.
        upgrade = newer(installed, tmp_path, without="agent/checkup/run.py")
        debian.run_beside(process.pid, "dpkg", "-i", "--force-confdef", debian.put(upgrade))
        assert current(debian) != old
        assert releases(debian) == {old, current(debian)}, "the old one is still in use"
        assert process.communicate("\n")[0] == f"found /{HOME}/releases/{old}/agent/checkup/run.py\n"
    assert not (debian.folder / HOME / "current/agent/checkup/run.py").exists()
    assert settings.read_text() == "tunnels = 1\n"
    debian.run("dpkg", "-i", debian.put(upgrade))
    assert releases(debian) == {current(debian)}, "the next upgrade finds the old one unused"
