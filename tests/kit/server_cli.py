"""The commands of integration-server called inside the test's process: the same entry, without a second of imports."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from agent.cli.errors import run_command
from agent.server.cli import main
from tests.kit.server_process import Outcome

PATIENCE_S = 20.0


class ServerCli:
    """Runs ``integration-server --data-dir DIR ...`` to its end; for tests that are not coroutines.

    Standard input is never a terminal, and nothing of the environment is seen but what is given. Logging is left as
    it is: it is configured once per process, and this one belongs to the tests.
    """

    def __init__(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.data_dir = data_dir
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, stdin: bytes = b"", environment: dict[str, str] | None = None) -> Outcome:
        old_mask = os.umask(0o022)
        with self._monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("INTEGRATION_SERVER_", "XDG_"))]:
                patch.delenv(name)
            for name, value in {"HOME": str(self.data_dir.parent), **(environment or {})}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            patch.setattr("agent.log.configure_logging", lambda *_: None)
            patch.setattr("agent.server.app.configure_logging", lambda *_: None)
            self._capsys.readouterr()
            # A server that starts although it should not would run for ever; its own handler ends it.
            patience = threading.Timer(PATIENCE_S, os.kill, (os.getpid(), signal.SIGTERM))
            if "serve" in arguments:
                patience.start()
            try:
                with pytest.raises(SystemExit) as ended:
                    run_command(main.cli, main.PROGRAM, ["--data-dir", str(self.data_dir), *arguments])
            finally:
                patience.cancel()
                os.umask(old_mask)
        out, err = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, out, err)

    def refused(self, code: int, *arguments: str, stdin: bytes = b"", environment: dict[str, str] | None = None) -> str:
        """Run, expect this exit code and one sentence on standard error, and give the sentence."""
        outcome = self(*arguments, stdin=stdin, environment=environment)
        assert (outcome.code, outcome.out) == (code, "") or arguments[0] == "serve", outcome
        assert outcome.code == code, outcome
        lines = outcome.err.splitlines()
        assert len(lines) == 1, outcome.err
        assert lines[0].startswith("integration-server: ")
        return lines[0]
