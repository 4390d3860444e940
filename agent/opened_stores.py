"""The stores that are open now: what the server is told of them, and how each is reached and checked."""

from __future__ import annotations

import socket

import structlog

import agent
from agent.checkup.service import CheckService
from agent.forward.target import StoreTable
from agent.opening import Opening, refuse_doubles
from agent.opening_log import say_what_is_open
from agent.probe import probe_openings
from agent.settings import TimeoutSettings
from agent.tunnel.check_messages import CHECK_FEATURE
from agent.tunnel.messages import Grant, Hello

_log = structlog.get_logger("agent")


class OpenedStores:
    """Follows the settings through reloads. ``checks`` makes the checks of these stores that the server asks for."""

    def __init__(self, instance_id: str) -> None:
        self.checks = CheckService()
        self.grants: list[Grant] = []
        self._instance_id = instance_id

    def __repr__(self) -> str:
        return f"<OpenedStores {len(self.grants)}>"

    async def open(self, openings: tuple[Opening, ...], timeouts: TimeoutSettings) -> StoreTable:
        """Decide what can be read in several ways, say what is open, and make the table. Raises ``SettingsError``."""
        decided = tuple(opening for opening, _ in await probe_openings(openings, timeouts))
        refuse_doubles(decided)
        targets = [opening.target(timeouts) for opening in decided]
        self.grants = [Grant.from_rule(opening.rule()) for opening in decided]
        self.checks.plans = {opening.store: opening.check_plan(timeouts) for opening in decided}
        for opening in decided:
            say_what_is_open(opening)
        if not decided:
            _log.warning("store.none", detail="No store is open; to open one: prestashop-agent stores add URL")
        return StoreTable(targets)

    def hello(self, index: int) -> Hello:
        """What tunnel ``index`` says of this instance."""
        return Hello(
            version=agent.__version__,
            instance_id=self._instance_id,
            tunnel_index=index,
            host=socket.gethostname()[:255],
            features=[CHECK_FEATURE],
            stores=self.grants,
        )
