"""The control API on agents: tokens, secrets, changes, revocation, and which are offline."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import event, update
from sqlalchemy.exc import OperationalError

from agent.server.agent_record import AgentRecord
from agent.server.db.tables import AGENT_SECRETS, AGENTS
from agent.server.operations.agents import offline_agents
from agent.server.operations.status import OfflineAgent
from agent.server.registry import Registry
from agent.server.tunnel import Tunnel
from agent.store_url import Store, parse_store
from agent.tunnel.token import parse_token
from tests.kit.control_plane import SSH_ADDRESS, ControlApi
from tests.kit.no_link import NoLink


async def test_the_token_of_a_new_agent_logs_in_and_pins_the_host_key(api: ControlApi) -> None:
    made = await api.agent()
    token = parse_token(made["access_token"])
    assert token.servers == (SSH_ADDRESS,)
    assert token.pins == (api.plane.facts.host_key_fingerprint,)
    assert token.agent_id == made["agent"]["id"]
    record = api.plane.live.authenticate(token.agent_id, token.secret)
    assert record is not None
    assert (record.name, record.max_instances, record.plain_store) == ("warehouse", 1, None)
    assert made["agent"]["state"] == "awaiting_install"


async def test_a_wrong_secret_or_id_does_not_log_in(api: ControlApi) -> None:
    token = parse_token((await api.agent())["access_token"])
    other = parse_token((await api.agent("other"))["access_token"])
    for agent_id, secret in [(token.agent_id, other.secret), (token.agent_id, ""), ("nobody", token.secret), ("", "")]:
        assert api.plane.live.authenticate(agent_id, secret) is None


async def test_the_public_address_is_asked_for_once(api: ControlApi) -> None:
    status, problem = await api.call("POST", "agents", {"name": "a"})
    assert (status, problem["name"], problem["field"]) == (409, "address_missing", "public_ssh_address")
    assert "--public-ssh-address" in problem["detail"]
    await api.created("agents", name="a", public_ssh_address="one.example.com:2222, two.example.com:443")
    made = await api.created("agents", name="b")
    assert parse_token(made["access_token"]).servers == ("one.example.com:2222", "two.example.com:443")


@pytest.mark.parametrize("address", ["agents.example.com", "h:0", "h:99999", "a b:22", "http://h:2222"])
async def test_an_address_that_cannot_be_is_refused(api: ControlApi, address: str) -> None:
    status, problem = await api.call("POST", "agents", {"name": "a", "public_ssh_address": address})
    assert (status, problem["field"]) == (422, "public_ssh_address")
    assert await api.call("GET", "agents") == (200, [])


async def test_a_revoked_agent_cannot_log_in_and_its_name_is_free_again(api: ControlApi) -> None:
    first = await api.agent()
    token = parse_token(first["access_token"])
    assert (await api.call("POST", "agents", {"name": " Warehouse ".lower()}))[0] == 409
    began_at = time.monotonic()
    status, revoked = await api.call("POST", "agents/warehouse/revoke")
    assert api.plane.live.authenticate(token.agent_id, token.secret) is None
    assert time.monotonic() - began_at < 1
    assert (status, revoked["state"]) == (200, "revoked")
    async with api.plane.read() as connection:
        assert (await connection.execute(AGENT_SECRETS.select())).all() == []  # nothing is left to compare with
    second = await api.agent()
    assert second["agent"]["id"] != first["agent"]["id"]
    status, found = await api.call("GET", "agents/warehouse")
    assert (status, found["id"]) == (200, second["agent"]["id"])


async def test_an_agent_for_stock_ssh_has_a_secret_and_no_token(api: ControlApi) -> None:
    made = await api.agent(plain_store_url="http://192.168.1.20:8080/shop/api/")
    assert made["access_token"] is None
    assert made["known_hosts_line"].startswith("[agents.example.com]:2222 ssh-ed25519 ")
    record = api.plane.live.authenticate(made["agent"]["id"], made["secret"])
    assert record is not None
    assert record.plain_store == Store("http", "192.168.1.20", 8080, "/shop/")


async def test_stock_ssh_cannot_carry_https(api: ControlApi) -> None:
    body = {"name": "a", "plain_store_url": "https://h.example/api/", "public_ssh_address": SSH_ADDRESS}
    status, problem = await api.call("POST", "agents", body)
    assert (status, problem["field"]) == (422, "plain_store_url")
    assert "plain http only" in problem["detail"]


async def test_the_next_login_counts_with_the_new_number_and_the_token_stays(api: ControlApi) -> None:
    made = await api.agent(description="rack 4")
    token = parse_token(made["access_token"])
    status, changed = await api.call("PATCH", "agents/warehouse", {"max_instances": 3})
    assert (status, changed) == (200, made["agent"] | {"max_instances": 3})
    record = api.plane.live.authenticate(token.agent_id, token.secret)
    assert record is not None
    assert record.max_instances == 3
    status, changed = await api.call("PATCH", f"agents/{token.agent_id}", {"description": " ask Anne "})
    assert (status, changed["description"], changed["max_instances"]) == (200, "ask Anne", 3)
    _, trail = await api.call("GET", "audit")
    assert [(line["action"], line["subject"], line["detail"]["changed"]) for line in trail[:2]] == [
        ("agent.updated", "warehouse", ["description"]),
        ("agent.updated", "warehouse", ["max_instances"]),
    ]
    assert trail[1]["detail"]["max_instances"] == 3


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({}, "--max-instances N"),
        ({"max_instances": 0}, "max_instances"),
        ({"max_instances": 101}, "max_instances"),
        ({"max_instances": None}, "max_instances"),
        ({"description": "x" * 1001}, "description"),
        ({"name": " "}, "name"),
    ],
)
async def test_a_change_that_cannot_be_changes_nothing(api: ControlApi, body: dict[str, object], part: str) -> None:
    made = await api.agent()
    status, problem = await api.call("PATCH", "agents/warehouse", body)
    assert (status, part in problem["detail"]) == (422, True)
    assert await api.call("GET", "agents") == (200, [made["agent"]])


async def test_an_agent_that_is_unknown_or_revoked_is_not_changed(api: ControlApi) -> None:
    status, problem = await api.call("PATCH", "agents/warehouse", {"max_instances": 2})
    assert (status, "agents list" in problem["detail"]) == (404, True)
    await api.agent()
    await api.call("POST", "agents/warehouse/revoke")
    status, problem = await api.call("PATCH", "agents/warehouse", {"max_instances": 2})
    assert (status, "is revoked" in problem["detail"]) == (409, True)
    assert (await api.call("GET", "agents/warehouse"))[1]["max_instances"] == 1


async def test_offline_are_those_that_are_registered_and_have_no_tunnel(api: ControlApi) -> None:
    assert await offline_agents(api.plane) == ()
    for name in ("never", "gone", "revoked", "here"):
        await api.agent(name)
    await api.call("POST", "agents/revoked/revoke")
    async with api.plane.note() as connection:
        seen = update(AGENTS).where(AGENTS.c.name == "gone").values(last_heartbeat_at=1_800_000_000.0, host="rack-4")
        await connection.execute(seen)
    _, here = await api.call("GET", "agents/here")
    registry = api.plane.registry = Registry()
    plain = AgentRecord(here["id"], "here", plain_store=parse_store("http://shop.example/"))
    registry.add(Tunnel.from_plain(plain, NoLink(), "127.0.0.1:1", "SSH-2.0-x", 77.0))
    assert await offline_agents(api.plane) == (
        OfflineAgent("gone", "2027-01-15T08:00:00+00:00", "rack-4"),
        OfflineAgent("never", None, None),
    )


async def test_a_database_that_does_not_answer_is_not_an_empty_list(api: ControlApi) -> None:
    await api.agent()

    def refuse(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    event.listen(api.plane.engine.sync_engine, "before_cursor_execute", refuse)
    try:
        assert await offline_agents(api.plane) is None
    finally:
        event.remove(api.plane.engine.sync_engine, "before_cursor_execute", refuse)


async def test_one_that_is_connected_speaks_for_itself_before_its_record_is_written(api: ControlApi) -> None:
    agent_id = (await api.agent("here"))["agent"]["id"]
    registry = api.plane.registry = Registry()
    record = AgentRecord(agent_id, "here", plain_store=parse_store("http://shop.example/"))
    registry.add(Tunnel.from_plain(record, NoLink(), "127.0.0.1:1", "SSH-2.0-x", 77.0))
    _, shown = await api.call("GET", "agents/here")
    assert (shown["state"], shown["version"]) == ("online", "SSH-2.0-x")
    assert [grant["host"] for grant in shown["grants"]] == ["shop.example"]
