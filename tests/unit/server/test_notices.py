"""Notices as API and command show them, their deliveries, and their end."""

from __future__ import annotations

from sqlalchemy import insert, update

from agent.server.db.watch_tables import NOTICE_DELIVERIES, NOTICE_TARGETS
from agent.server.operations.notices import KEPT_S, give_notice, sweep_notices
from tests.kit.control_plane import ControlApi
from tests.kit.server_cli import ServerCli


async def target(api: ControlApi, name: str, *, events: list[str] | None = None, enabled: bool = True) -> None:
    async with api.plane.note() as connection:
        row = {"kind": "email", "address": "a@example.com", "created_at": 1.0, "updated_at": 1.0}
        await connection.execute(
            insert(NOTICE_TARGETS).values(id=f"id-{name}", name=name, events=events, enabled=enabled, **row)
        )


async def test_a_notice_is_put_up_for_the_targets_that_want_it(api: ControlApi) -> None:
    await target(api, "all")
    await target(api, "agents", events=["agent.offline"])
    await target(api, "off", enabled=False)
    await give_notice(api.plane, "agent.offline", "agent/1", "It is away.", name="warehouse")
    await give_notice(api.plane, "connection.failed", "connection/1", "It failed.")
    status, (failed, offline) = await api.call("GET", "notices")
    assert status == 200
    assert (offline["event"], offline["sentence"], offline["detail"]) == (
        "agent.offline",
        "It is away.",
        {"name": "warehouse"},
    )
    assert [(each["target"], each["state"]) for each in offline["deliveries"]] == [
        ("agents", "waiting"),
        ("all", "waiting"),
    ]
    assert [each["target"] for each in failed["deliveries"]] == ["all"]
    assert [each["id"] for each in (await api.call("GET", "notices?event=agent.offline"))[1]] == [offline["id"]]
    assert (await api.call("GET", "notices?event=nonsense"))[0] == 422
    async with api.plane.note() as connection:
        given_up = update(NOTICE_DELIVERIES).where(NOTICE_DELIVERIES.c.target_id == "id-agents")
        await connection.execute(given_up.values(next_at=None, attempts=6, error="No answer."))
        delivered = update(NOTICE_DELIVERIES).where(NOTICE_DELIVERIES.c.target_id == "id-all")
        await connection.execute(delivered.values(next_at=None, delivered_at=2.0))
    _, (_, offline) = await api.call("GET", "notices")
    assert [each["state"] for each in offline["deliveries"]] == ["given up", "delivered"]


async def test_old_notices_are_forgotten_but_not_the_state_of_a_subject(api: ControlApi) -> None:
    now = [1000.0]
    api.plane.clock = lambda: now[0]
    for sentence in ("first", "second"):
        await give_notice(api.plane, "agent.offline", "agent/1", sentence)
    now[0] += KEPT_S + 1
    await sweep_notices(api.plane)
    _, left = await api.call("GET", "notices")
    assert [each["sentence"] for each in left] == ["second"]


def test_the_command_says_that_there_is_none(cli: ServerCli) -> None:
    assert "There is no notice" in cli("notices", "list").out
