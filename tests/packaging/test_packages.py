"""What is in the packages: files, fields, scripts, pages; nothing of it is installed here."""

from __future__ import annotations

import gzip
import importlib
import io
import posixpath
import re
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import click
import pytest

from tests.kit.tools import require_tool
from tests.packaging.conftest import ROOT, Built

pytestmark = pytest.mark.long

PROGRAMS = {"prestashop-agent": "agent.cli.main", "integration-server": "agent.server.cli.main"}
SETTINGS = {"prestashop-agent": "agent.toml", "integration-server": "server.toml"}


def output(*command: str) -> str:
    """What ``command`` prints, which ends well."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_lintian_finds_nothing(built: Built) -> None:
    lintian = require_tool("lintian", "lintian")
    output(lintian, "--allow-root", "--fail-on", "error,warning", str(built.deb))


def test_no_server_code_and_no_demo_lie_on_a_shops_machine(packages: dict[str, Built]) -> None:
    files = packages["prestashop-agent"].files
    packaged = "usr/lib/prestashop-agent/packaged"
    assert f"{packaged}/agent/daemon.py" in files
    assert not [file for file in files if file.startswith((f"{packaged}/agent/server", f"{packaged}/agent/demo"))]
    assert not [file for file in files if "/sqlalchemy/" in file or "/fastapi/" in file]


def test_everything_is_roots_and_nobody_elses_to_write(built: Built) -> None:
    archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(built.deb)], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = tar.getmembers()
    assert len(members) > 500
    wrong = [m.name for m in members if (m.uid, m.gid) != (0, 0) or m.mode & (stat.S_IWGRP | stat.S_IWOTH | 0o7000)]
    assert not wrong
    executable = [m.name for m in members if m.isfile() and m.mode & 0o111]
    assert executable == [f"./usr/bin/{built.name}"]
    assert len({m.mtime for m in members}) == 1, "the time of the commit is the only one in it"


def test_control_fields(built: Built) -> None:
    fields = dict(re.findall(r"^([A-Z][\w-]+): (.*)$", output("dpkg-deb", "-f", str(built.deb)), re.MULTILINE))
    major, minor = sys.version_info[:2]
    assert fields["Package"] == built.name
    assert fields["Depends"].startswith(
        f"python3 (>= {major}.{minor}~), python3 (<< {major}.{minor + 1}~), libc6 (>= 2."
    )
    assert int(fields["Installed-Size"]) > 5000
    conffiles = (built.unpacked / "DEBIAN/conffiles").read_text().split()
    assert conffiles == [f"/etc/{built.name}/{SETTINGS[built.name]}"]


def test_the_sample_settings_set_nothing(built: Built) -> None:
    text = (built.unpacked / f"etc/{built.name}/{SETTINGS[built.name]}").read_text()
    assert not [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_units_start_what_is_installed(built: Built) -> None:
    folder = built.unpacked / "usr/lib/systemd/system"
    shipped = {unit.name for unit in folder.iterdir()}
    assert shipped == {u.name for u in (ROOT / "systemd").glob(f"{built.name}*") if u.suffix in {".service", ".socket"}}
    for service in folder.glob("*.service"):
        text = service.read_text()
        assert f"\nExecStart=/usr/bin/{built.name} " in text, service.name
        for page in re.findall(r"\bfile:///(\S+)", text):
            assert page in built.files, f"{service.name} names it as documentation"
        for page, section in re.findall(r"\bman:([\w-]+)\((\d)\)", text):
            assert f"usr/share/man/man{section}/{page}.{section}.gz" in built.files


def test_links_of_the_pages_lead_to_what_is_installed(built: Built) -> None:
    folder = f"/usr/share/doc/{built.name}"
    there = {f"/{file}" for file in built.files}
    there |= {posixpath.dirname(file) for file in there}
    followed = 0
    for page in (built.unpacked / folder[1:]).glob("*.md"):
        for target in re.findall(r"\]\(([^)#\s:]+)(?:#[^)\s]*)?\)", page.read_text()):
            assert posixpath.normpath(posixpath.join(folder, target)) in there, f"{page.name}: {target}"
            followed += 1
    assert followed > 50


def test_nothing_tells_where_it_was_built(built: Built) -> None:
    """Neither folders of the build nor the addresses of the package indexes that were asked."""
    config = output(sys.executable, "-m", "pip", "config", "list")
    hosts = re.findall(r"(?:https?|file)://[^\s'\"\\/]*/[^\s'\"\\]+", config)
    told = [mark.encode() for mark in (str(ROOT) + "/", "/packages-", *hosts)]
    found = [(file, mark) for file in built.files for mark in told if mark in (built.unpacked / file).read_bytes()]
    assert not found
    assert not [file for file in built.files if file.endswith(("/RECORD", "/direct_url.json", ".pyc", ".pyi"))]


def test_every_library_has_its_licence_there(built: Built) -> None:
    text = (built.unpacked / f"usr/share/doc/{built.name}/copyright").read_text()
    packaged = built.unpacked / f"usr/lib/{built.name}/packaged"
    libraries = [info.name.removesuffix(".dist-info") for info in packaged.glob("*.dist-info")]
    assert len(libraries) > 15
    assert not [name for name in libraries if f"  {name}: " not in text]
    assert "see its text" not in text


def test_every_command_has_a_man_page_without_a_warning(built: Built) -> None:
    man = require_tool("man", "man-db")
    program = importlib.import_module(PROGRAMS[built.name]).cli
    commands = set(program.list_commands(click.Context(program))) - {"demo"}
    folder = built.unpacked / "usr/share/man"
    wanted = {f"man1/{built.name}.1.gz", f"man5/{built.name}.toml.5.gz"}
    wanted |= {f"man1/{built.name}-{command}.1.gz" for command in commands}
    assert {str(page.relative_to(folder)) for page in folder.rglob("*.gz")} == wanted
    for page in sorted(folder.rglob("*.gz")):
        done = subprocess.run([man, "--warnings", "-l", str(page)], capture_output=True, text=True, check=True)
        assert not done.stderr, page.name
        text = gzip.decompress(page.read_bytes()).decode()
        assert text.startswith(".TH ") and '.SH "SEE ALSO"' in text
        described = text.partition('.SH "DESCRIPTION"')[2].partition(".SH ")[0]
        assert described and ".nf" not in described, f"{page.name}: a paragraph is shown as it stands in the code"


def test_zsh_and_fish_accept_the_completions(built: Built) -> None:
    share = built.unpacked / "usr/share"
    output(require_tool("zsh", "zsh"), "-n", str(share / f"zsh/vendor-completions/_{built.name}"))
    output(require_tool("fish", "fish"), "-n", str(share / f"fish/vendor_completions.d/{built.name}.fish"))


def test_the_pages_lead_to_each_other(built: Built) -> None:
    folder = built.unpacked / "usr/share/doc" / built.name
    pages = {page: re.sub("`[^`]*`", "", page.read_text()) for page in folder.glob("*.md")}
    links = [(page.name, link) for page, text in pages.items() for link in re.findall(r"\]\(([^)#\s]+)", text)]
    broken = [
        (page, link) for page, link in links if not link.startswith(("http", "/")) and not (folder / link).exists()
    ]
    assert ("index.md", "operations.md") in links
    assert broken == []


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_scripts_are_whole(built: Built, name: str) -> None:
    script = built.unpacked / "DEBIAN" / name
    output("sh", "-n", str(script))
    assert not re.findall(r"@[A-Z]+@", script.read_text()), "every word was put in"


def test_the_rpm_holds_the_same(built: Built, tmp_path: Path) -> None:
    rpm = require_tool("rpm", "rpm")
    query = (rpm, "--dbpath", str(tmp_path), "-qp")

    def of_both(files: list[str]) -> set[str]:
        elsewhere = (
            "usr/share/zsh",
            "usr/share/lintian",
            f"usr/share/doc/{built.name}/changelog.gz",
            "usr/share/licenses",
        )
        return {file for file in files if not file.startswith(elsewhere)}

    listed = output(*query, "--queryformat", "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILENAMES}\n]", str(built.rpm))
    rows = [line.split(" ", 2) for line in listed.splitlines()]
    assert of_both([path[1:] for mode, _, path in rows if not mode.startswith("d")]) == of_both(built.files)
    assert {user for _, user, _ in rows} == {"root"}
    config = output(*query, "--configfiles", str(built.rpm)).split()
    assert config == [f"/etc/{built.name}/{SETTINGS[built.name]}"]
    assert f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}" in output(*query, "--requires", str(built.rpm))
    scripts = output(*query, "--scripts", str(built.rpm))
    assert {"postinstall", "preuninstall", "postuninstall"} <= set(
        re.findall(r"^(\w+) scriptlet", scripts, re.MULTILINE)
    )
    assert "digests OK" in output(rpm, "--dbpath", str(tmp_path), "-K", str(built.rpm))


def test_the_sums_are_those_of_the_packages(packages: dict[str, Built]) -> None:
    dist = packages["prestashop-agent"].deb.parent
    assert output("sh", "-c", f"cd '{dist}' && sha256sum --check --strict SHA256SUMS").count(": OK") == 4
