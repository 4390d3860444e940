"""The pages of notices and of who is told: what they show, who may change it; no secret of a target is shown."""

from __future__ import annotations

import re
from dataclasses import replace

from sqlalchemy import update

from agent.server.db.watch_tables import NOTICE_DELIVERIES
from agent.server.operations.notice_message import Destination, NotDeliveredError, NoticeMessage
from agent.server.operations.notice_targets import list_targets
from agent.server.operations.notices import give_notice
from agent.server.operations.open_notices import FRESH_S, open_notices
from tests.kit.control_plane import ControlApi
from tests.kit.panel import Panel

URL = "https://hooks.example.com/services/CANARYTOKEN"
HOOK = {"name": "Chat", "kind": "webhook", "address": URL}
WRITES = ("/edit", "/test", "/rotate", "/enable", "/disable", "/delete")


async def test_no_notice_yet_says_what_causes_one(panel: Panel) -> None:
    page = await panel.get("/notices", "viewer")
    assert "when an agent goes away or comes back" in page.text
    assert "/notices/targets/new" not in page.text
    assert "/notices/targets/new" in (await panel.get("/notices", "admin")).text
    assert "An admin can create one" in (await panel.get("/notices/targets", "viewer")).text


async def test_notices_are_listed_newest_first_with_how_far_each_came(panel: Panel, api: ControlApi) -> None:
    plane = api.plane
    agent = (await api.agent("<b>warehouse"))["agent"]
    await panel.post("/notices/targets", HOOK, "admin")
    subject = f"agent/{agent['id']}"
    await give_notice(plane, "agent.offline", subject, "It is <i>away</i>.", name=agent["name"])
    await give_notice(plane, "connection.failed", "connection/gone", "It failed.", slug="shop-lyon")
    async with plane.note() as connection:
        table = NOTICE_DELIVERIES
        (target,) = (await list_targets(plane)).items
        end = update(table).where(table.c.target_id == target.id, table.c.notice_id == 1)
        await connection.execute(end.values(next_at=None, attempts=6, error="No <u>answer."))
    page = await panel.get("/notices", "viewer")
    assert re.findall("It failed|away", page.text) == ["It failed", "away"]
    for part in (
        "given up",
        "after 6 attempts",
        "No &lt;u&gt;answer.",
        "pending",
        "about to be sent",
        f"/agents/{agent['id']}",
    ):
        assert part in page.text
    assert "<b>w" not in page.text
    assert "<i>a" not in page.text
    assert "Nobody is told" not in page.text
    some = await panel.get("/notices?event=agent.offline", "viewer")
    assert re.findall("It failed|away", some.text) == ["away"]
    assert "No notice of this event" in (await panel.get("/notices?event=agent.online", "viewer")).text
    assert "It failed" in (await panel.get("/notices?event=nonsense", "viewer")).text
    overview = await panel.get("/", "viewer")
    assert "It is &lt;i&gt;away" in overview.text
    assert "It failed" not in overview.text  # there is no such connection any more


async def test_only_what_goes_on_is_open(api: ControlApi) -> None:
    plane = api.plane
    now = [1000.0]
    plane.clock = lambda: now[0]
    subjects = {"agent/1", "connection/1", "connection/2"}

    async def told() -> list[tuple[str, str]]:
        return [(each.event, each.subject) for each in await open_notices(plane, subjects, {})]

    await give_notice(plane, "agent.offline", "agent/1", "away")
    await give_notice(plane, "agent.offline", "agent/deleted", "away")
    await give_notice(plane, "connection.failed", "connection/1", "failed")
    await give_notice(plane, "connection.key_failed", "connection/1", "key")
    await give_notice(plane, "connection.certificate_ends", "connection/2", "ends", ends_at=5.0)
    await give_notice(plane, "agent.second_instance", "agent/1", "second")
    assert await told() == [
        ("agent.second_instance", "agent/1"),
        ("connection.certificate_ends", "connection/2"),
        ("connection.key_failed", "connection/1"),
        ("agent.offline", "agent/1"),
    ]
    await give_notice(plane, "agent.online", "agent/1", "back")
    await give_notice(plane, "connection.recovered", "connection/1", "good")
    now[0] += FRESH_S
    assert await told() == [("connection.certificate_ends", "connection/2")]
    await give_notice(plane, "connection.failed", "connection/1", "failed again")
    assert await told() == [("connection.failed", "connection/1"), ("connection.certificate_ends", "connection/2")]


async def test_a_target_is_made_shown_by_its_host_alone_and_its_secret_once(panel: Panel, api: ControlApi) -> None:
    made = await panel.post("/notices/targets", HOOK, "admin")
    shown = await panel.get(made.fields["location"], "admin")
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", shown.text)
    assert (made.status, secret is not None) == (303, True)
    (target,) = (await list_targets(api.plane)).items
    here = f"/notices/targets/{target.id}"
    for path in (here, "/notices/targets", "/notices", "/audit", f"{here}/rotate", f"{here}/delete"):
        page = await panel.get(path, "admin")
        assert page.status == 200
        assert "CANARYTOKEN" not in page.text
        assert "whsec_" not in page.text
    wrong = await panel.post(f"{here}/edit", {"name": "", "address": URL}, "admin")
    assert (wrong.status, "CANARYTOKEN" in wrong.text) == (422, False)
    assert (await panel.post(f"{here}/edit", {"name": "Team", "events": ["agent.offline"]}, "admin")).status == 303
    (target,) = (await list_targets(api.plane)).items
    assert (target.name, target.events, target.address_shown) == (
        "Team",
        ("agent.offline",),
        "https://hooks.example.com",
    )
    again = await panel.get((await panel.post(f"{here}/rotate", {}, "admin")).fields["location"], "admin")
    other = re.search(r"whsec_[A-Za-z0-9+/=]+", again.text)
    assert other is not None
    assert secret is not None
    assert other[0] != secret[0]
    for action, enabled in (("disable", False), ("enable", True)):
        answer = await panel.post(f"{here}/{action}", {}, "admin")
        assert answer.fields["location"] == f"{here}?done={action}d"
        (target,) = (await list_targets(api.plane)).items
        assert target.enabled is enabled
    assert (await panel.get(f"{here}/nothing", "admin")).status == 404
    assert (await panel.post(f"{here}/nothing", {}, "admin")).status == 404
    assert (await panel.post(f"{here}/delete", {}, "admin")).fields["location"] == "/notices/targets?done=deleted"
    assert (await list_targets(api.plane)).total == 0
    assert (await panel.get(here, "admin")).status == 404


async def test_what_is_wrong_with_a_target_is_said_at_its_field(panel: Panel, api: ControlApi) -> None:
    plain = await panel.post("/notices/targets", HOOK | {"address": "http://CANARYTOKEN.example/"}, "admin")
    assert (plain.status, 'id="address-error"' in plain.text, "CANARYTOKEN" in plain.text) == (422, True, False)
    mail = {"name": "Ops", "kind": "email", "address": "ops@example.com"}
    refused = await panel.post("/notices/targets", mail, "admin")
    assert (refused.status, "set smtp.host" in refused.text) == (422, True)
    assert (await panel.post("/notices/targets", mail | {"kind": "pigeon"}, "admin")).status == 422
    api.plane.facts = replace(api.plane.facts, can_mail=True)
    made = await panel.post("/notices/targets", mail, "admin")
    here = made.fields["location"].partition("?")[0]
    assert (await panel.post(f"{here}/edit", mail | {"address": "boss@example.com"}, "admin")).status == 303
    assert "boss@example.com" in (await panel.get(here, "viewer")).text


async def test_a_test_notice_says_what_became_of_it(panel: Panel, api: ControlApi) -> None:
    await panel.post("/notices/targets", HOOK, "admin")
    (target,) = (await list_targets(api.plane)).items
    here = f"/notices/targets/{target.id}"
    assert (await panel.post(f"{here}/test", {}, "admin")).status == 409  # no server sends here
    sent: list[str] = []

    async def send(destination: Destination, message: NoticeMessage) -> None:
        if sent:
            raise NotDeliveredError("hooks.example.com answered 500.")
        sent.append(destination.address)

    api.plane.send_notice = send
    good = await panel.post(f"{here}/test", {}, "admin")
    assert (good.fields["location"], sent) == (f"{here}?done=sent", [URL])
    bad = await panel.post(f"{here}/test", {}, "admin")
    assert (bad.status, "hooks.example.com answered 500." in bad.text) == (502, True)


async def test_who_may_only_look_changes_no_target(panel: Panel, api: ControlApi) -> None:
    await panel.post("/notices/targets", HOOK, "admin")
    (target,) = (await list_targets(api.plane)).items
    here = f"/notices/targets/{target.id}"
    for who in ("viewer", "editor"):
        page = await panel.get(here, who)
        assert page.status == 200
        assert not re.findall(rf'<form[^>]*action="{here}|href="{here}/', page.text)
        assert "/notices/targets/new" not in (await panel.get("/notices/targets", who)).text
        for path in ("/notices/targets/new", f"{here}/delete", f"{here}/rotate"):
            assert (await panel.get(path, who)).status == 403
        for action in WRITES:
            assert (await panel.post(here + action, {"name": "x"}, who)).status == 403
        assert (await panel.post("/notices/targets", HOOK | {"name": "x"}, who)).status == 403
    for action in WRITES:
        assert (await panel.post(here + action, {"name": "x", "csrf_token": "wrong"}, "admin")).status == 403
    assert [each.name for each in (await list_targets(api.plane)).items] == ["Chat"]
    assert (await list_targets(api.plane)).items[0] == target
