"""The command prestashop-agent called inside the test's process: the same entry, without a second of imports."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence

import pytest

from agent.cli import main
from agent.cli.errors import run_command
from tests.kit.agent_place import Place
from tests.kit.server_process import Outcome


class AgentCli:
    """Runs ``prestashop-agent ... --config FILE`` to its end; not inside a running loop. stdin is no terminal."""

    def __init__(self, place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.place = place
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> Outcome:
        return called(
            [*arguments, "--config", str(self.place.config)],
            self.place.environ({"COLUMNS": "80", "LANG": "C.UTF-8", **(environ or {})}),
            stdin,
            self._monkeypatch,
            self._capsys,
        )


def called(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    stdin: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Outcome:
    """Run ``prestashop-agent`` to its end with this environment and no other."""
    with monkeypatch.context() as patch:
        for name in tuple(os.environ):
            patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_command(main.cli, main.PROGRAM, arguments)
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return Outcome(ended.value.code, out, err)
