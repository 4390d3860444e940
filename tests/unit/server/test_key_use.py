"""When client keys were used last: written in batches."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from agent.server.operations.key_use import note_use
from agent.server.traffic import USED_MAX, Traffic
from tests.kit.control_plane import ControlApi

AT = 1_800_000_000.0


async def test_uses_are_written_once_and_audited_never(api: ControlApi) -> None:
    traffic = api.plane.traffic = Traffic()
    made = await api.created("client-keys", all_connections=True, name="erp")
    await api.created("client-keys", all_connections=True, name="idle")
    _, trail = await api.call("GET", "audit")
    traffic._used[made["client_key"]["id"]] = AT
    await note_use(api.plane)
    _, shown = await api.call("GET", "client-keys/erp")
    assert datetime.fromisoformat(shown["last_used_at"]).timestamp() == AT
    assert (await api.call("GET", "client-keys/idle"))[1]["last_used_at"] is None
    assert traffic.take_used_keys() == {}
    assert (await api.call("GET", "audit"))[1] == trail


async def test_a_key_that_is_gone_meanwhile_does_not_stop_the_others(api: ControlApi) -> None:
    traffic = api.plane.traffic = Traffic()
    made = await api.created("client-keys", all_connections=True, name="erp")
    traffic._used |= {"deleted-meanwhile": AT, made["client_key"]["id"]: AT}
    await note_use(api.plane)
    assert (await api.call("GET", "client-keys/erp"))[1]["last_used_at"] is not None


async def test_what_could_not_be_written_is_written_the_next_time(api: ControlApi) -> None:
    traffic = api.plane.traffic = Traffic()
    made = await api.created("client-keys", all_connections=True, name="erp")
    other = await api.created("client-keys", all_connections=True, name="shop")
    traffic._used |= {made["client_key"]["id"]: AT, other["client_key"]["id"]: AT}
    real, api.plane.engine = api.plane.engine, create_async_engine("sqlite+aiosqlite:////nowhere/at/all")
    with pytest.raises(SQLAlchemyError):
        await note_use(api.plane)
    api.plane.engine = real
    traffic._used[other["client_key"]["id"]] = AT + 60  # used again meanwhile
    await note_use(api.plane)
    for name, at in (("erp", AT), ("shop", AT + 60)):
        _, shown = await api.call("GET", f"client-keys/{name}")
        assert datetime.fromisoformat(shown["last_used_at"]).timestamp() == at
    assert traffic.take_used_keys() == {}


def test_what_waits_for_the_database_is_bounded_and_the_newest_stay() -> None:
    traffic = Traffic()
    traffic._used["new"] = AT
    traffic.put_back_used_keys({"new": AT - 1} | {f"k{n}": float(n) for n in range(USED_MAX)})
    used = traffic.take_used_keys()
    assert (len(used), used["new"]) == (USED_MAX, AT)
    assert "k0" not in used
    assert f"k{USED_MAX - 1}" in used


async def test_without_a_running_server_nothing_is_written(api: ControlApi) -> None:
    await api.created("client-keys", all_connections=True, name="erp")
    await note_use(api.plane)
    assert (await api.call("GET", "client-keys/erp"))[1]["last_used_at"] is None
