"""Notice targets on both databases: made, changed, tested, deleted; what is secret of them stays sealed."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from agent.server.db.tables import AUDIT
from agent.server.db.watch_tables import NOTICE_DELIVERIES, NOTICE_TARGETS
from agent.server.operations import notice_targets as targets
from agent.server.operations.failures import ConflictError, InvalidError, NotFoundError
from agent.server.operations.key_ring import rotate_keys
from agent.server.operations.notice_message import Destination, NotDeliveredError, NoticeMessage
from agent.server.operations.notice_targets import TargetWish
from agent.server.operations.notice_vault import SECRET_PREFIX, destination_of
from agent.server.operations.notices import give_notice
from agent.server.operations.paging import Paging
from agent.server.operations.principal import ForbiddenError, Principal, Role
from agent.server.vault import KeyRing, Vault
from tests.kit.control_plane import ControlApi

ADMIN = Principal("person:anne", Role.ADMIN)
URL = "https://hooks.example.com/services/CANARYTOKEN?key=CANARYTOKEN"
HOOK = TargetWish("Chat", "webhook", URL)
MAIL = TargetWish("Ops", "email", "ops@example.com", events=["agent.offline"])


@pytest.fixture
def mailing(api: ControlApi) -> ControlApi:
    """A server that has a mail server set."""
    api.plane.facts = replace(api.plane.facts, can_mail=True)
    return api


async def trail(api: ControlApi) -> str:
    async with api.plane.read() as connection:
        rows = await connection.execute(select(AUDIT.c.actor, AUDIT.c.action, AUDIT.c.subject, AUDIT.c.detail))
        return "\n".join(str(tuple(row)) for row in rows)


async def waiting(api: ControlApi) -> dict[int, tuple[float | None, str | None]]:
    table = NOTICE_DELIVERIES
    async with api.plane.read() as connection:
        rows = await connection.execute(select(table.c.notice_id, table.c.next_at, table.c.error))
        return {notice_id: (next_at, error) for notice_id, next_at, error in rows}


async def test_a_webhook_is_made_and_shown_by_its_origin_alone(api: ControlApi) -> None:
    made, secret = await targets.create_target(api.plane, ADMIN, HOOK)
    assert (made.name, made.kind, made.address_shown) == ("Chat", "webhook", "https://hooks.example.com")
    assert (made.events, made.enabled, made.waiting, made.error, made.delivered_at) == (None, True, 0, None, None)
    assert secret is not None
    assert len(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)) == 32
    async with api.plane.read() as connection:
        row = (await connection.execute(select(NOTICE_TARGETS))).mappings().one()
    destination = destination_of(api.plane.vault, row)
    assert (destination.kind, destination.address, destination.secret) == ("webhook", URL, secret)
    lines = await trail(api)
    assert "notice_target.created" in lines
    for shown in (repr(made), repr(HOOK), repr(destination), str(dict(row)), lines):
        assert "CANARYTOKEN" not in shown
        assert secret.removeprefix(SECRET_PREFIX) not in shown


async def test_a_new_key_of_the_ring_seals_url_and_secret_anew(api: ControlApi) -> None:
    _, secret = await targets.create_target(api.plane, ADMIN, HOOK)
    report = await rotate_keys(api.plane, "local:root")
    assert report.sealed == {1: 0, 2: 2}
    async with api.plane.read() as connection:
        row = (await connection.execute(select(NOTICE_TARGETS))).mappings().one()
    assert destination_of(api.plane.vault, row).secret == secret
    with pytest.raises(NotDeliveredError, match="key ring"):
        destination_of(Vault(KeyRing.generate()), row)


async def test_mail_needs_a_mail_server(api: ControlApi) -> None:
    with pytest.raises(ConflictError, match=r"smtp\.host"):
        await targets.create_target(api.plane, ADMIN, MAIL)
    api.plane.facts = replace(api.plane.facts, can_mail=True)
    made, secret = await targets.create_target(api.plane, ADMIN, MAIL)
    assert (made.address_shown, made.events, secret) == ("ops@example.com", ("agent.offline",), None)
    api.plane.facts = replace(api.plane.facts, can_mail=False)
    await targets.change_target(api.plane, ADMIN, "Ops", {"enabled": False, "name": "Night"})
    with pytest.raises(ConflictError, match=r"smtp\.host"):
        await targets.change_target(api.plane, ADMIN, "Night", {"enabled": True})
    with pytest.raises(InvalidError, match="only webhooks"):
        await targets.rotate_secret(api.plane, ADMIN, made.id)


async def test_what_cannot_be_accepted_changes_nothing(mailing: ControlApi) -> None:
    plane = mailing.plane
    await targets.create_target(plane, ADMIN, HOOK)
    await targets.create_target(plane, ADMIN, MAIL)
    with pytest.raises(ConflictError, match="exists"):
        await targets.create_target(plane, ADMIN, replace(HOOK, name=" Chat "))
    with pytest.raises(InvalidError, match="https://"):
        await targets.create_target(plane, ADMIN, replace(HOOK, name="x", address="http://a.example/CANARYTOKEN"))
    for events in ([], ["agent.exploded"]):
        with pytest.raises(InvalidError, match=r"agent\.offline"):
            await targets.create_target(plane, ADMIN, replace(HOOK, name="x", events=events))
    with pytest.raises(ConflictError, match="exists"):
        await targets.change_target(plane, ADMIN, "Chat", {"name": "Ops", "enabled": False})
    with pytest.raises(InvalidError):
        await targets.change_target(plane, ADMIN, "Ops", {"address": URL})
    with pytest.raises(NotFoundError, match="notices targets list"):
        await targets.get_target(plane, "nobody")
    found = await targets.list_targets(plane, Paging(search="chat"))
    assert [(each.name, each.enabled) for each in found.items] == [("Chat", True)]
    assert (await targets.list_targets(plane)).total == 2
    assert "CANARYTOKEN" not in await trail(mailing)


async def test_only_an_admin_may(api: ControlApi) -> None:
    await targets.create_target(api.plane, ADMIN, HOOK)
    for asker in (Principal("person:ed", Role.EDITOR), Principal("token:t", Role.ADMIN, frozenset({"notices:read"}))):
        with pytest.raises(ForbiddenError):
            await targets.create_target(api.plane, asker, replace(HOOK, name="x"))
        for asked in (
            targets.change_target(api.plane, asker, "Chat", {"name": "x"}),
            targets.rotate_secret(api.plane, asker, "Chat"),
            targets.test_target(api.plane, asker, "Chat"),
            targets.delete_target(api.plane, asker, "Chat"),
        ):
            with pytest.raises(ForbiddenError):
                await asked
    assert (await targets.get_target(api.plane, "Chat")).name == "Chat"


async def test_there_are_twenty_at_most(api: ControlApi) -> None:
    for number in range(targets.TARGETS_MAX):
        await targets.create_target(api.plane, ADMIN, replace(HOOK, name=f"Chat {number}"))
    with pytest.raises(ConflictError, match="20"):
        await targets.create_target(api.plane, ADMIN, HOOK)
    await targets.delete_target(api.plane, ADMIN, "Chat 7")
    await targets.create_target(api.plane, ADMIN, HOOK)


async def test_switching_off_ends_what_waits_and_a_new_address_hurries_it(api: ControlApi) -> None:
    plane = api.plane
    made, old_secret = await targets.create_target(plane, ADMIN, HOOK)
    await give_notice(plane, "agent.offline", "agent/1", "It is away.")
    assert (await targets.get_target(plane, "Chat")).waiting == 1
    async with plane.note() as connection:
        await connection.execute(update(NOTICE_DELIVERIES).values(next_at=1e12, attempts=1, error="No answer."))
    assert (await targets.get_target(plane, "Chat")).error == "No answer."
    plane.deliveries_due.clear()
    await targets.change_target(plane, ADMIN, made.id, {"address": "https://other.example/CANARYTOKEN"})
    assert plane.deliveries_due.is_set()
    ((next_at, _),) = (await waiting(api)).values()
    assert next_at is not None
    assert next_at <= plane.clock()
    _, secret = await targets.rotate_secret(plane, ADMIN, "Chat")
    assert secret != old_secret
    changed = await targets.change_target(plane, ADMIN, "Chat", {"enabled": False, "events": ["agent.online"]})
    assert (changed.address_shown, changed.events) == ("https://other.example", ("agent.online",))
    assert (changed.enabled, changed.waiting, changed.error) == (False, 0, "Not sent: the target was switched off.")
    assert await targets.delete_target(plane, ADMIN, "Chat") == "Chat"
    assert await waiting(api) == {}
    lines = await trail(api)
    assert "notice_target.secret_rotated" in lines
    assert "notice_target.deleted" in lines
    assert "CANARYTOKEN" not in lines


async def test_a_test_tells_its_outcome_and_hurries_what_waits_when_it_is_good(api: ControlApi) -> None:
    plane = api.plane
    _, secret = await targets.create_target(plane, ADMIN, HOOK)
    with pytest.raises(ConflictError, match="start it"):
        await targets.test_target(plane, ADMIN, "Chat")
    await give_notice(plane, "agent.offline", "agent/1", "It is away.")
    async with plane.note() as connection:
        await connection.execute(update(NOTICE_DELIVERIES).values(next_at=1e12))
    sent: list[tuple[Destination, NoticeMessage]] = []
    failing = [True]

    async def send(destination: Destination, message: NoticeMessage) -> None:
        sent.append((destination, message))
        if failing[0]:
            raise NotDeliveredError("hooks.example.com refused the connection.")

    plane.send_notice = send
    outcome = await targets.test_target(plane, ADMIN, "Chat")
    assert (outcome.ok, outcome.error) == (False, "hooks.example.com refused the connection.")
    assert [at for at, _ in (await waiting(api)).values()] == [1e12]
    failing[0] = False
    assert (await targets.test_target(plane, ADMIN, "Chat")).ok
    assert [at for at, _ in (await waiting(api)).values()] != [1e12]
    (first, _), (destination, message) = sent
    assert (destination.address, destination.secret) == (URL, secret)
    assert first == destination
    assert (message.event, message.id, message.name) == ("test", 0, "Chat")
    assert "person:anne" in message.sentence
    assert (await api.call("GET", "notices"))[1][0]["event"] == "agent.offline"  # a test is no notice
    assert "CANARYTOKEN" not in await trail(api)
