"""`prestashop-agent logs`: which unit's lines, and where they are when no unit has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.log_place import Elsewhere, Journal, find_place, journal_of, named_instance
from agent.cli.main import cli


@pytest.mark.parametrize(
    ("control_group", "journal"),
    [
        ("0::/system.slice/prestashop-agent.service\n", Journal("prestashop-agent.service")),
        (
            "0::/system.slice/system-prestashop\\x2dagent.slice/prestashop-agent@lyon.service",
            Journal("prestashop-agent@lyon.service"),
        ),
        ("12:pids:/x\n1:name=systemd:/system.slice/prestashop-agent.service\n", Journal("prestashop-agent.service")),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service",
            Journal("shop.service", is_users=True),
        ),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-term.scope", None),
        ("0::/user.slice/user-1000.slice/session-3.scope", None),
        ("0::/system.slice/docker.service/docker/0123456789ab", None),
        ("0::/", None),
        ("", None),
    ],
)
def test_the_unit_is_that_of_the_process(control_group: str, journal: Journal | None) -> None:
    assert journal_of(control_group) == journal


def test_commands() -> None:
    place = Journal("prestashop-agent.service")
    begin = ("journalctl", "-u", "prestashop-agent.service")
    assert place.command(lines=None, follow=False, since=None) == (*begin, "-n", "100")
    assert place.command(lines=5, follow=True, since=None) == (*begin, "-n", "5", "-f")
    assert place.command(lines=None, follow=False, since="-1h") == (*begin, "--since=-1h")
    assert Journal("x.service", is_users=True).command(lines=1, follow=False, since=None)[1] == "--user"


def test_while_none_answers_the_installed_unit_counts(tmp_path: Path) -> None:
    assert isinstance(find_place(None, tmp_path), Elsewhere)
    unit = tmp_path / "usr/lib/systemd/system/prestashop-agent.service"
    unit.parent.mkdir(parents=True)
    unit.touch()
    assert find_place(None, tmp_path) == Journal("prestashop-agent.service")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/dev/null", "thrown away"),
        ("{root}/agent.log", "tail -n 100 -f {root}/agent.log"),
        ("{root}/missing", "sudo"),
        ("{root}", "another program"),
    ],
)
def test_by_hand_it_is_where_standard_error_leads(tmp_path: Path, target: str, words: str) -> None:
    (tmp_path / "agent.log").touch()
    descriptors = tmp_path / "proc/42/fd"
    descriptors.mkdir(parents=True)
    (descriptors.parent / "cgroup").write_text("0::/user.slice/user-0.slice/session-3.scope\n")
    (descriptors / "2").symlink_to(target.format(root=tmp_path))
    place = find_place(42, tmp_path)
    assert isinstance(place, Elsewhere)
    assert words.format(root=tmp_path) in place.sentence


def test_instances_of_the_template(tmp_path: Path) -> None:
    assert named_instance("lyon") == Journal("prestashop-agent@lyon.service")
    shown = CliRunner().invoke(cli, ["logs", "--instance", "lyon", "--explain", "-f", "--since", "1 hour ago"])
    assert shown.output == "journalctl -u prestashop-agent@lyon.service '--since=1 hour ago' -f\n"
    for name in ("a/b", "-x y", "../../etc"):
        refused = CliRunner().invoke(cli, ["logs", "--instance", name, "--explain"])
        assert (refused.exit_code, "--instance" in refused.output) == (2, True)
