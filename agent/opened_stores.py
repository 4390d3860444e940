"""The stores that are open now: what the server is told of them, and how each is reached and checked."""

from __future__ import annotations

import socket
from dataclasses import replace

import structlog

import agent
from agent.checkup.service import CheckService
from agent.forward.target import StoreTable
from agent.opening import Opening, refuse_doubles
from agent.opening_log import say_what_is_open
from agent.pause_switch import PauseSwitch
from agent.policy import Rule
from agent.probe import probe_openings
from agent.settings import TimeoutSettings
from agent.tunnel.check_messages import CHECK_FEATURE
from agent.tunnel.messages import LINE_MAX_BYTES, Grant, Hello, hello_size_bytes

_log = structlog.get_logger("agent")


class OpenedStores:
    """Follows the settings through reloads, and obeys ``pauses``.

    ``checks`` makes the checks of these stores that the server asks for.
    """

    def __init__(self, instance_id: str, pauses: PauseSwitch) -> None:
        self.checks = CheckService(pause_of=pauses.pause_of)
        self._pauses = pauses
        self._rules: tuple[Rule, ...] = ()
        self._instance_id = instance_id

    def __repr__(self) -> str:
        return f"<OpenedStores {len(self._rules)}>"

    @property
    def grants(self) -> list[Grant]:
        """What the server is told of them: what is open, and what is paused of it as far as that fits into a hello."""
        pauses = [self._pauses.pause_of(rule.store) for rule in self._rules]
        bare = [replace(pause, reason="") if pause is not None else None for pause in pauses]
        for said in (pauses, bare):
            grants = [Grant.from_rule(rule, pause) for rule, pause in zip(self._rules, said, strict=True)]
            if hello_size_bytes(grants) <= LINE_MAX_BYTES:
                return grants
        return [Grant.from_rule(rule) for rule in self._rules]

    async def open(self, openings: tuple[Opening, ...], timeouts: TimeoutSettings) -> StoreTable:
        """Decide what can be read in several ways, say what is open, and make the table. Raises ``SettingsError``."""
        decided = tuple(opening for opening, _ in await probe_openings(openings, timeouts))
        refuse_doubles(decided)
        gates = self._pauses.open({each.store: each.settings.max_requests_per_minute for each in decided})
        targets = [opening.target(timeouts, gates[opening.store]) for opening in decided]
        self._rules = tuple(opening.rule() for opening in decided)
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
