"""An agent that is not there yet, and the commands that install it, called inside the test's process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.agent_cli import called
from tests.kit.server_process import Outcome


@dataclass
class FreshAgent:
    """Runs ``prestashop-agent ...`` to its end; for tests that are not coroutines.

    ``root`` has its files in etc, state and run, as systemd would name them; standard input is never a terminal.
    """

    root: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.root / "etc" / "agent.toml"

    @property
    def token(self) -> Path:
        """The token file."""
        return self.root / "etc" / "token"

    def write(self, toml: str) -> None:
        """A settings file that is there already."""
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(toml)

    def __call__(self, *arguments: str, stdin: str = "", path: Path | None = None) -> Outcome:
        directories = {"CONFIGURATION_DIRECTORY": "etc", "STATE_DIRECTORY": "state", "RUNTIME_DIRECTORY": "run"}
        environ = {
            **{name: str(self.root / below) for name, below in directories.items()},
            "HOME": str(self.root),
            "COLUMNS": "100",
            "PATH": os.environ["PATH"] if path is None else f"{path}:{os.environ['PATH']}",
        }
        outcome = called(arguments, environ, stdin, self.monkeypatch, self.capsys)
        assert "Traceback" not in outcome.err
        return outcome

    def refused(self, code: int, *arguments: str, stdin: str = "") -> str:
        """Run, expect this exit code and one sentence on standard error, and give the sentence."""
        outcome = self(*arguments, stdin=stdin)
        assert outcome.code == code, outcome
        [line] = outcome.err.splitlines()
        assert line.startswith("prestashop-agent: ")
        return line
