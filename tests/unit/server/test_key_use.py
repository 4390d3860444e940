"""When client keys were used last: written in batches."""

from __future__ import annotations

from datetime import datetime

from agent.server.operations.key_use import note_use
from agent.server.traffic import Traffic
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


async def test_without_a_running_server_nothing_is_written(api: ControlApi) -> None:
    await api.created("client-keys", all_connections=True, name="erp")
    await note_use(api.plane)
    assert (await api.call("GET", "client-keys/erp"))[1]["last_used_at"] is None
