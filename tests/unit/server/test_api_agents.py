"""The control API on agents: tokens, secrets, revocation."""

from __future__ import annotations

import time

import pytest

from agent.server.db.tables import AGENT_SECRETS
from agent.store_url import Store
from agent.tunnel.token import parse_token
from tests.kit.control_plane import SSH_ADDRESS, ControlApi


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
