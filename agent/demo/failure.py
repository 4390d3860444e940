"""The demo cannot go on."""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import AgentError


class DemoError(AgentError):
    """One sentence on what failed; ``log_ends`` are the last lines of the logs that tell more, by name."""

    def __init__(self, sentence: str, log_ends: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.log_ends = dict(log_ends or {})
