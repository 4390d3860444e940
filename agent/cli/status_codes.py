"""Exit codes of the status commands of both programs, in the manner of systemctl(1) and of the LSB init scripts."""

from __future__ import annotations

from typing import ClassVar, Final

from agent.errors import AgentError

EXIT_READY: Final = 0
EXIT_NOT_READY: Final = 1


class NotRunningError(AgentError):
    """Nobody answers where the program would; ``state`` is what JSON says."""

    exit_code = 3
    state: ClassVar[str] = "not_running"


class UnknownStateError(AgentError):
    """It cannot be found out: no permission, or a program that does not answer."""

    exit_code = 4
    state: ClassVar[str] = "unknown"
