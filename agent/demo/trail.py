"""Where a request really went: read from the logs of server and agent, by its request id."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from agent.demo.failure import DemoError
from agent.demo.log_file import LogFile

_PATIENCE_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Exchange:
    """One line of the server's log. ``answered_by`` is store, agent or gateway."""

    request_id: str
    method: str
    target: str
    status: int
    answered_by: str
    error: str
    elapsed_ms: float
    size_bytes: int


class Trail:
    """Follows ``exchange.*`` events of both logs."""

    def __init__(self, server_log: LogFile, agent_log: LogFile) -> None:
        self._server_log = server_log
        self._agent_log = agent_log
        self._at_server: dict[str, Exchange] = {}
        self._at_agent: set[str] = set()

    async def find(self, request_id: str) -> Exchange:
        """The exchange with this id, seen by the server and, unless the gateway answered it itself, by the agent.

        Raises DemoError when the logs do not have it.
        """
        give_up_at = time.monotonic() + _PATIENCE_S
        while True:
            self.read()
            found = self._at_server.get(request_id)
            if found is not None and (found.answered_by == "gateway" or request_id in self._at_agent):
                return found
            if time.monotonic() > give_up_at:
                where = "server" if found is None else "agent"
                raise DemoError(f"the request {request_id} is not in the log of the {where}")
            await asyncio.sleep(_LOOK_AGAIN_S)

    def read(self) -> list[Exchange]:
        """The exchanges that the server has logged since the last call."""
        fresh = [_exchange(event) for event in self._server_log.new_events() if event.get("event") == "exchange.done"]
        self._at_server |= {exchange.request_id: exchange for exchange in fresh}
        for event in self._agent_log.new_events():
            if str(event.get("event", "")).startswith("exchange."):
                self._at_agent.add(str(event.get("request_id", "")))
        return fresh

    def reached_agent(self, request_id: str) -> bool:
        """Whether the agent has logged this request."""
        return request_id in self._at_agent


def _exchange(event: dict[str, Any]) -> Exchange:
    return Exchange(
        request_id=str(event.get("request_id", "")),
        method=str(event.get("method", "")),
        target=str(event.get("target", "")),
        status=int(event.get("status") or 0),
        answered_by=str(event.get("answered_by", "")),
        error=str(event.get("error") or ""),
        elapsed_ms=float(event.get("elapsed_ms") or 0.0),
        size_bytes=int(event.get("bytes_down") or 0),
    )
