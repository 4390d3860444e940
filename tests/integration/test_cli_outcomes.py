"""How commands end where they cannot go on: without the libraries of the server, and at a question nobody answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CALL = "import sys; {before}; sys.argv = ['x', *sys.argv[1:]]; import agent.server.cli.main as m; m.main()"


def run_server_command(root: Path, *arguments: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """Run a command of integration-server that has no input, after the statement ``before``."""
    return subprocess.run(
        [sys.executable, "-c", CALL.format(before=before), "--data-dir", str(root / "data"), *arguments],
        env={"HOME": str(root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_its_libraries_the_server_says_how_to_install_them(tmp_path: Path) -> None:
    for command in (["serve"], ["agents", "list"]):
        ended = run_server_command(tmp_path, *command, before="sys.modules['fastapi'] = None")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr == (
            "integration-server: The libraries of the server are not installed here (fastapi): "
            "pip install 'prestashop-agent[server]'.\n"
        )
    assert not (tmp_path / "data").exists()


def test_a_question_that_nobody_answers_ends_in_a_sentence(tmp_path: Path) -> None:
    ended = run_server_command(tmp_path, "connections", "delete", "shop-lyon")
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.splitlines()[-1] == "integration-server: stopped at the question; nothing was done."
