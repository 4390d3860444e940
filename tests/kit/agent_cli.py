"""The commands of prestashop-agent called inside the test's process, on directories of the test."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.cli import main
from agent.cli.errors import run_command
from tests.kit.server_process import Outcome


@dataclass
class AgentCli:
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
        with self.monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("PRESTASHOP_AGENT_", "XDG_", "CREDENTIALS_"))]:
                patch.delenv(name)
            for name, below in directories.items():
                patch.setenv(name, str(self.root / below))
            patch.setenv("HOME", str(self.root))
            patch.setenv("COLUMNS", "100")
            if path is not None:
                patch.setenv("PATH", f"{path}:{os.environ['PATH']}")
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
            self.capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                run_command(main.cli, main.PROGRAM, arguments)
        out, err = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in err
        return Outcome(ended.value.code, out, err)

    def refused(self, code: int, *arguments: str, stdin: str = "") -> str:
        """Run, expect this exit code and one sentence on standard error, and give the sentence."""
        outcome = self(*arguments, stdin=stdin)
        assert outcome.code == code, outcome
        [line] = outcome.err.splitlines()
        assert line.startswith("prestashop-agent: ")
        return line
