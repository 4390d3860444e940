"""Notices of agents: away for too long, back again, and a second instance that knocked.

Bounded for an agent that comes and goes: it is told of as offline once in 15 minutes at most, as online only after an
offline notice and half a minute of staying, and of second instances once an hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from agent.server.db.tables import AGENTS, AUDIT
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.notices import Notice, NoticeEvent, give_notice, newest_notices, sweep_notices

PLACE_TAKEN: Final = "agent.place_taken"
OFFLINE_AGAIN_AFTER_S: Final = 900.0
STAYS_S: Final = 30.0
SECOND_AGAIN_AFTER_S: Final = 3600.0
TICK_S: Final = 2.0
SWEEP_EVERY_S: Final = 3600.0

_STATES: Final[tuple[NoticeEvent, ...]] = ("agent.offline", "agent.online")
_SECOND: Final[tuple[NoticeEvent, ...]] = ("agent.second_instance",)
_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Presence:
    """Is an agent here, and since when (unix time) is that so?"""

    online: bool
    since: float


def agent_event(presence: Presence, told: Notice | None, now: float, offline_after_s: float) -> NoticeEvent | None:
    """What has to be told of an agent whose newest notice is ``told``; None when it is known."""
    stayed_s = now - presence.since
    is_told_offline = told is not None and told.event == "agent.offline"
    if presence.online:
        return "agent.online" if is_told_offline and stayed_s >= STAYS_S else None
    if is_told_offline or stayed_s < offline_after_s:
        return None
    offline_at = float(told.detail.get("offline_told_at", 0.0)) if told is not None else 0.0
    return "agent.offline" if now - offline_at >= OFFLINE_AGAIN_AFTER_S else None


class AgentWatch:
    """Looks at the agents every 2 s until ``run`` is cancelled; what it told before is read from the database."""

    def __init__(self, plane: ControlPlane, offline_after_s: float, *, tick_s: float = TICK_S) -> None:
        self._plane = plane
        self._offline_after_s = offline_after_s
        self._tick_s = tick_s
        self._began = plane.clock()
        self._seen: dict[str, Presence] = {}
        self._swept_at = 0.0

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            try:
                await self.look()
            except SQLAlchemyError as error:  # a locked database, say: looked at again in a moment
                _LOG.warning("notices.not_written", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - a defect with one agent must not end the watch over all of them
                _LOG.error("notices.defect", error=type(error).__name__)
            await asyncio.sleep(self._tick_s)

    async def look(self) -> None:
        """Give the notices that are due now."""
        plane, now = self._plane, self._plane.clock()
        async with plane.read() as connection:
            columns = (AGENTS.c.id, AGENTS.c.name, AGENTS.c.last_heartbeat_at)
            query = select(*columns).where(AGENTS.c.revoked_at.is_(None), AGENTS.c.enabled)
            agents = (await connection.execute(query)).all()
        told = await newest_notices(plane, _STATES)
        for agent_id, name, heard_at in agents:
            presence = self._presence(agent_id, now)
            if heard_at is None and not presence.online:
                continue  # never installed: nobody misses it
            before = told.get(f"agent/{agent_id}")
            event = agent_event(presence, before, now, self._offline_after_s)
            if event == "agent.offline":
                await self._offline(agent_id, name, presence)
            elif event == "agent.online" and before is not None:
                await self._online(agent_id, name, presence, before)
        await self._second_instances({agent_id: name for agent_id, name, _ in agents}, now)
        if now - self._swept_at >= SWEEP_EVERY_S:
            self._swept_at = now
            await sweep_notices(plane)

    def _presence(self, agent_id: str, now: float) -> Presence:
        """Of an agent that did not come since this server began, the server's own absence does not count."""
        registry = self._plane.registry
        online = registry is not None and bool(registry.tunnels(agent_id))
        before = self._seen.get(agent_id)
        if online:
            if before is None or not before.online:
                self._seen[agent_id] = Presence(True, now)
        else:
            seen = registry.last_seen(agent_id) if registry is not None else None
            self._seen[agent_id] = Presence(False, max(seen.at if seen is not None else 0.0, self._began))
        return self._seen[agent_id]

    async def _offline(self, agent_id: str, name: str, presence: Presence) -> None:
        now = self._plane.clock()
        sentence = (
            f'The agent "{name}" is offline for {span(now - presence.since)}: its connections do not work. Look at its '
            "host and network, and there at prestashop-agent status."
        )
        await give_notice(
            self._plane,
            "agent.offline",
            f"agent/{agent_id}",
            sentence,
            name=name,
            away_since=presence.since,
            offline_told_at=now,
        )

    async def _online(self, agent_id: str, name: str, presence: Presence, offline: Notice) -> None:
        away_s = max(presence.since - float(offline.detail.get("away_since", offline.at)), 0.0)
        sentence = f'The agent "{name}" is back online; it was away for {span(away_s)}. Nothing needs to be done.'
        await give_notice(
            self._plane,
            "agent.online",
            f"agent/{agent_id}",
            sentence,
            name=name,
            away_s=round(away_s, 1),
            offline_told_at=offline.at,
        )

    async def _second_instances(self, names: Mapping[str, str], now: float) -> None:
        query = select(AUDIT.c.subject, func.max(AUDIT.c.at)).where(
            AUDIT.c.action == PLACE_TAKEN, AUDIT.c.at > now - SECOND_AGAIN_AFTER_S
        )
        async with self._plane.read() as connection:
            knocked = (await connection.execute(query.group_by(AUDIT.c.subject))).all()
        if not knocked:
            return
        told = await newest_notices(self._plane, _SECOND)
        for agent_id, at in knocked:
            before = told.get(f"agent/{agent_id}")
            if agent_id not in names or (before is not None and now - before.at < SECOND_AGAIN_AFTER_S):
                continue
            if before is not None and at <= before.at:
                continue
            sentence = (
                f'A further instance tried to join as the agent "{names[agent_id]}" and was turned away. If that was '
                "not you, the access token may have been copied: rotate it. integration-server audit shows from where."
            )
            await give_notice(
                self._plane, "agent.second_instance", f"agent/{agent_id}", sentence, name=names[agent_id], knocked_at=at
            )


def span(seconds: float) -> str:
    """A time span as people say it: 45 s, 12 min, 3 h, 2 days."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
