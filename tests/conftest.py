"""What every test run has in common: a word on what is not there, and uvloop where it is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit import fast_path
from tests.kit.recordings import recordings_folder
from tests.kit.tools import STRICT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says in one line whether real PrestaShop exchanges took part."""
    if recordings_folder() is None:
        kind = "a failure in strict mode" if STRICT else "skipped; the exchanges of our own writing ran"
        terminalreporter.write_line(f"recordings of a real PrestaShop were not there: {kind}")


@pytest.fixture(autouse=True)
def _home_is_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the files of whoever runs it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=not fast_path.IS_ON)
def _fast_path_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends of this process's connections behave as if their settings said so."""
    from agent.tunnel.acceleration import SWITCHED_OFF, Acceleration  # most tests need no SSH

    for module in ("agent.tunnel.ssh", "agent.server.link"):
        monkeypatch.setattr(f"{module}.accelerate", lambda conn, is_wanted: Acceleration(reason=SWITCHED_OFF))
