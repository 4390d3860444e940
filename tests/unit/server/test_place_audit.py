"""Who was turned away is in the audit trail: once an hour, bounded, and never in anybody's way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.server.operations.audit_trail import list_audit
from agent.server.operations.paging import Paging
from agent.server.operations.place_audit import AGAIN_AFTER_S, PENDING_MAX, PER_AGENT_MAX, PlaceAudit
from agent.server.operations.records import AuditEntry
from tests.kit.control_plane import ControlApi, control_api

ACTION = "agent.place_taken"


async def trail_of(api: ControlApi, limit: int) -> tuple[AuditEntry, ...]:
    """The newest lines of the audit trail, newest first."""
    return (await list_audit(api.plane, Paging(limit=limit))).items


def fields(instance: str = "i-2", agent: str = "a-1") -> dict[str, str]:
    return {"agent_id": agent, "instance_id": instance, "host": "laptop", "peer": "192.0.2.7:5"}


async def test_it_is_written_at_once_and_again_after_an_hour(tmp_path: Path) -> None:
    now = [1000.0]
    async with control_api(tmp_path / "data") as api:
        places = PlaceAudit(lambda: now[0])
        running = asyncio.create_task(places.run(api.plane))
        for _ in range(3):
            places.note(ACTION, fields())
        async with asyncio.timeout(10):
            while places._pending:  # noqa: ASYNC110 - whoever writes has no event to await
                await asyncio.sleep(0)
        (entry,) = await trail_of(api, 10)
        assert (entry.action, entry.actor, entry.subject, entry.at) == (ACTION, "server", "a-1", 1000.0)
        assert entry.detail == fields()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        now[0] += AGAIN_AFTER_S - 1
        places.note(ACTION, fields())
        places.note(ACTION, fields("i-3"))
        await places.flush(api.plane)
        now[0] += 1
        places.note(ACTION, fields())
        await places.flush(api.plane)
        assert [entry.detail["instance_id"] for entry in await trail_of(api, 10)] == ["i-2", "i-3", "i-2"]


async def test_a_crowd_is_kept_within_bounds(tmp_path: Path) -> None:
    async with control_api(tmp_path / "data") as api:
        places = PlaceAudit(lambda: 1000.0)
        for number in range(3 * PENDING_MAX):
            places.note(ACTION, fields(agent=f"a-{number}"))
        await places.flush(api.plane)
        assert len(await trail_of(api, 1000)) == PENDING_MAX


async def test_one_token_with_ever_new_instances_does_not_fill_the_trail(tmp_path: Path) -> None:
    now = [1000.0]
    async with control_api(tmp_path / "data") as api:
        places = PlaceAudit(lambda: now[0])
        for number in range(3 * PER_AGENT_MAX):
            places.note(ACTION, fields(f"i-{number}"))
        places.note(ACTION, fields(agent="a-2"))
        await places.flush(api.plane)
        trail = await trail_of(api, 1000)
        assert [entry.subject for entry in trail].count("a-1") == PER_AGENT_MAX
        assert [entry.subject for entry in trail].count("a-2") == 1
        now[0] += AGAIN_AFTER_S
        places.note(ACTION, fields("i-next"))
        await places.flush(api.plane)
        assert len(await trail_of(api, 1000)) == PER_AGENT_MAX + 2
