"""The command prestashop-agent as a process: what bad input and bad surroundings get."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

import agent
from tests.kit.agent_place import TOKEN, Place
from tests.kit.tools import require_tool

COMMANDS = [("run",), ("config", "check")]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("tunnels = = 2\n", ["agent.toml, line 3", "not valid TOML"]),
        ("tunels = 2\n", ['"tunels"', "agent.toml", 'did you mean "tunnels"']),
        ("tunnels = 99\n", ['"tunnels"', "agent.toml", "is 99", "less than or equal to 8"]),
        ("token = 'psa1_xyz'\n", ['"token"', "file of its own"]),
        ("[[stores]]\nurl = 'https://'\n", ['"stores[0].url"', "agent.toml"]),
        ("[[stores]]\nurl = 'not a url at all'\n", ['"stores[0].url"', "agent.toml"]),
        ("[[stores]]\nurl = 'https://h/api/'\nca_file = '/nowhere/ca.pem'\n", ["/nowhere/ca.pem", "https://h/"]),
        ("[[stores]]\nurl = 'https://h/api/'\n" * 2, ["stores[0] and stores[1]", "https://h/"]),
    ],
)
def test_bad_settings_end_with_78(place: Place, command: tuple[str, ...], toml: str, parts: list[str]) -> None:
    place.write(toml)
    sentence = place.refused(78, *command)
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_token_file_ends_with_78(place: Place, command: tuple[str, ...]) -> None:
    place.write(mode=0o644)
    assert f"chmod 600 {place.token}" in place.refused(78, *command)
    place.write(token=TOKEN[:-9])
    assert "truncated" in place.refused(78, *command)
    place.write(token=TOKEN[:60] + ("A" if TOKEN[60] != "A" else "B") + TOKEN[61:])
    assert "altered" in place.refused(78, *command)
    place.write(token="hello")
    assert "not an access token" in place.refused(78, *command)
    place.token.unlink()
    assert str(place.token) in place.refused(78, *command)
    place.token.mkdir()
    assert str(place.token) in place.refused(78, *command)


def test_files_and_directories_that_this_user_cannot_use(place: Place) -> None:
    if os.geteuid() == 0:  # root reads every file, unless it gives that up
        place.prefix = (require_tool("setpriv", "util-linux"), "--bounding-set=-dac_override,-dac_read_search")
    place.state.mkdir(mode=0o500)
    assert f"{place.state} cannot be used" in place.refused(1, "run")
    place.token.chmod(0)
    sentence = place.refused(78, "run")
    assert f"{place.token} cannot be read" in sentence
    place.config.chmod(0)
    sentence = place.refused(78, "run")
    assert f"{place.config} cannot be read" in sentence


@pytest.mark.parametrize(
    ("environ", "part"),
    [
        ({"PRESTASHOP_AGENT_TUNELS": "2"}, 'did you mean "PRESTASHOP_AGENT_TUNNELS"'),
        ({"PRESTASHOP_AGENT_TUNNELS": "two"}, '"PRESTASHOP_AGENT_TUNNELS" in the environment is "two"'),
        ({"PRESTASHOP_AGENT_TOKEN": TOKEN}, "file of its own"),
    ],
)
def test_a_wrong_environment_ends_with_78(place: Place, environ: dict[str, str], part: str) -> None:
    assert part in place.refused(78, "run", environ=environ)


def test_a_settings_file_that_is_not_there_ends_with_78(place: Place) -> None:
    place.config.unlink()
    assert f"There is no settings file {place.config}" in place.refused(78, "run")
    ended = place.run("run", environ={"PRESTASHOP_AGENT_CONFIG": str(place.config)})
    assert (ended.returncode, str(place.config) in ended.stderr) == (78, True)


def test_an_unwritable_state_directory_ends_with_1(place: Place) -> None:
    place.state.write_text("a file is in the way")
    sentence = place.refused(1, "run")
    assert str(place.state) in sentence
    assert "--state-dir" in sentence
    assert "/proc/nowhere" in place.refused(1, "run", "--state-dir", "/proc/nowhere")


def test_a_second_agent_on_the_same_state_directory_ends_with_1(place: Place) -> None:
    place.state.mkdir()
    with (place.state / "instance.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        sentence = place.refused(1, "run")
    assert "Another prestashop-agent (process 4711)" in sentence
    assert str(place.state) in sentence


def test_debug_shows_the_traceback_wherever_it_stands(place: Place) -> None:
    place.write("tunels = 1")
    for arguments in (["--debug", "config", "check"], ["config", "check", "--debug"]):
        ended = place.run(*arguments, environ={"PRESTASHOP_AGENT_CONFIG": str(place.config)})
        assert ended.returncode == 78
        assert "Traceback" in ended.stderr
        assert ended.stderr.splitlines()[-1].startswith('prestashop-agent: Unknown setting "tunels"')


def test_wrong_usage_ends_with_2_and_shows_how(place: Place) -> None:
    for arguments in (["sing"], ["run", "--loud"], ["config", "check", "extra"]):
        ended = place.run(*arguments)
        assert ended.returncode == 2
        assert "Usage:" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_version_and_help(place: Place) -> None:
    assert place.run("--version").stdout == f"prestashop-agent {agent.__version__}\n"
    shown = place.run("--help").stdout
    for word in ("run", "config", "demo", "--config", "--debug", "Examples:"):
        assert word in shown
    for command in (["run"], ["config", "check"]):
        assert "Examples:" in place.run(*command, "--help").stdout


def test_help_imports_neither_settings_nor_ssh(place: Place) -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "agent.cli.main", "--help"],
        env=place.environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "click" in imported
    assert imported.isdisjoint({"pydantic", "asyncssh", "structlog", "rich", "agent.settings", "agent.daemon"})


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_under_the_output_is_one_sentence(unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "agent.cli.main", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            check=False,
        )
    lines = ended.stderr.decode().splitlines()
    assert (ended.returncode, len(lines)) == (1, 1), lines
    assert "the output cannot be written (No space left on device)" in lines[0]


@pytest.mark.parametrize("arguments", [("--help",), ("doctor", "--no-stores")])  # the second writes in a task group
def test_a_reader_that_leaves_hears_nothing(place: Place, arguments: tuple[str, ...]) -> None:
    place.write()
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", *arguments],
        env=place.environ(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")
