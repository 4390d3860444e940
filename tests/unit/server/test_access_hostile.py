"""People who mean harm, and things that happen at the same moment: what must not be gained or lost by either."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agent.server.operations import people, sessions
from agent.server.operations.audit_budget import PER_HOUR_MAX
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError, InvalidError, NotFoundError
from agent.server.operations.login_throttle import FREE_FAILURES
from agent.server.operations.one_time_links import first_link, look_at_link, redeem_link
from agent.server.operations.paging import Paging
from agent.server.operations.passwords import Passwords, check_new_password
from agent.server.operations.principal import Principal, Role
from agent.server.operations.sessions import LoginRefusedError, NewSession, TooManyAttemptsError
from tests.kit.control_plane import ControlApi

PASSWORD = "correct horse battery"
OTHER = "another long password"
PEER = "192.0.2.1"
ATTACKER = "198.51.100.66"
ADMIN = Principal("person:anne", Role.ADMIN)


class Meanwhile(Passwords):
    """Checks passwords as ever, and lets something happen while the first one is being checked."""

    def __init__(self, event: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._event: Callable[[], Awaitable[object]] | None = event

    async def matches(self, kept: str | None, password: str) -> bool:
        right = await super().matches(kept, password)
        event, self._event = self._event, None
        if event is not None:
            await event()
        return right


async def admin(plane: ControlPlane, name: str = "anne") -> NewSession:
    link = await first_link(plane)
    assert link is not None
    return await redeem_link(plane, link.token, name=name, password=PASSWORD, peer=PEER)


async def invited(plane: ControlPlane, name: str, role: Role) -> NewSession:
    link = (await people.invite_person(plane, ADMIN, name=name, role=role)).link
    return await redeem_link(plane, link.token, name=None, password=PASSWORD, peer=PEER)


async def test_a_login_does_not_undo_a_password_that_is_changed_meanwhile(api: ControlApi) -> None:
    plane = api.plane
    here = await admin(plane)

    async def changed() -> None:
        await sessions.change_password(
            plane, here.session.person_id, old=PASSWORD, new=OTHER, cookie_value=here.cookie_value, peer=PEER
        )

    plane.passwords = Meanwhile(changed)
    with pytest.raises(LoginRefusedError):
        await sessions.log_in(plane, "anne", PASSWORD, ATTACKER)
    with pytest.raises(LoginRefusedError):
        await sessions.log_in(plane, "anne", PASSWORD, ATTACKER)
    assert (await sessions.log_in(plane, "anne", OTHER, PEER)).session.name == "anne"


async def test_who_is_disabled_or_deleted_during_the_login_is_refused(api: ControlApi) -> None:
    plane = api.plane
    await admin(plane)
    begun = await invited(plane, "eddie", Role.EDITOR)
    plane.passwords = Meanwhile(lambda: people.set_person_enabled(plane, ADMIN, "eddie", enabled=False))
    with pytest.raises(LoginRefusedError):
        await sessions.log_in(plane, "eddie", PASSWORD, PEER)
    await people.set_person_enabled(plane, ADMIN, "eddie", enabled=True)
    assert await sessions.list_sessions(plane, begun.session.person_id) == []  # nothing came back to life
    plane.passwords = Meanwhile(lambda: people.delete_person(plane, "person:anne", "eddie"))
    with pytest.raises(LoginRefusedError):
        await sessions.log_in(plane, "eddie", PASSWORD, PEER)


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(api: ControlApi) -> None:
    await admin(api.plane)
    guesses = [sessions.log_in(api.plane, "anne", f"guess number {n} of many", ATTACKER) for n in range(20)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(type(outcome) is LoginRefusedError for outcome in outcomes) == FREE_FAILURES + 1
    assert sum(type(outcome) is TooManyAttemptsError for outcome in outcomes) == 20 - FREE_FAILURES - 1


async def test_the_own_password_is_not_guessed_faster_from_a_stolen_session(api: ControlApi) -> None:
    here = await admin(api.plane)
    guesses = [
        sessions.change_password(
            api.plane,
            here.session.person_id,
            old=f"guess number {n} of many",
            new=OTHER,
            cookie_value=here.cookie_value,
            peer=ATTACKER,
        )
        for n in range(20)
    ]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(type(outcome) is LoginRefusedError for outcome in outcomes) == FREE_FAILURES + 1


async def test_right_logins_never_wait(api: ControlApi) -> None:
    await admin(api.plane)
    for _ in range(FREE_FAILURES + 5):
        await sessions.log_in(api.plane, "anne", PASSWORD, PEER)
    assert api.plane.throttle.wait_s(PEER, "anne") == 0
    assert api.plane.throttle.wait_s("203.0.113.5", "anne") == 0


async def test_the_first_link_dies_when_there_is_an_admin(api: ControlApi) -> None:
    plane = api.plane
    printed = await first_link(plane)
    assert printed is not None
    await invited(plane, "berta", Role.ADMIN)  # invited by command, before anybody opened the printed link
    assert await look_at_link(plane, printed.token) is None
    with pytest.raises(NotFoundError, match="has been used"):
        await redeem_link(plane, printed.token, name="eve", password=PASSWORD, peer=ATTACKER)


@pytest.mark.parametrize("name", ["Émilie", "Ωmega", "Jürgen Weiß", "ANNE"])
async def test_names_of_any_language_can_log_in_in_any_case(api: ControlApi, name: str) -> None:
    await admin(api.plane, name)
    for typed in (name, name.lower()):
        assert (await sessions.log_in(api.plane, typed, PASSWORD, PEER)).session.name == name
    found = await people.list_people(api.plane, Paging(search=name.lower()))
    assert [person.name for person in found.items] == [name]
    with pytest.raises(ConflictError):
        await people.invite_person(api.plane, ADMIN, name=name.lower(), role=Role.VIEWER)


async def test_the_first_admin_takes_no_name_that_somebody_has_in_another_case(api: ControlApi) -> None:
    await people.invite_person(api.plane, ADMIN, name="Anne", role=Role.EDITOR)
    link = await first_link(api.plane)
    assert link is not None
    with pytest.raises(ConflictError):
        await redeem_link(api.plane, link.token, name="anne", password=PASSWORD, peer=PEER)
    begun = await redeem_link(api.plane, link.token, name="berta", password=PASSWORD, peer=PEER)  # the link still works
    assert begun.session.role is Role.ADMIN


@pytest.mark.parametrize(
    "password",
    [
        "123456789012",
        "12345678901234567890",
        "qwertyuiop12",
        "administrator",
        "passwordpassword",
        "iloveyou1234",
        "Anne Martin 2026!",
        "AnneMartin12",
        "integration-server",
        "            1",
    ],
)
def test_the_worst_passwords_are_refused(password: str) -> None:
    with pytest.raises(InvalidError):
        check_new_password(password, "Anne Martin 7")


@pytest.mark.parametrize(
    "password", ["correct horse battery", "4711 blue houses", "ひらがなとカタカナの合言葉です", "x7#Qm2$Lp9!d"]
)
def test_good_passwords_are_taken(password: str) -> None:
    check_new_password(password, "12")


async def test_refusals_are_audited_alike_and_within_bounds(api: ControlApi) -> None:
    plane = api.plane
    await admin(plane)
    typed = "my secret in the wrong field"
    with pytest.raises(LoginRefusedError):
        await sessions.log_in(plane, typed, PASSWORD, PEER)
    _, trail = await api.call("GET", "audit?action=login.refused")
    assert [entry["subject"] for entry in trail] == ["unknown name"]
    assert typed not in api.text
    for number in range(PER_HOUR_MAX + 5):
        with pytest.raises(LoginRefusedError):
            await sessions.log_in(plane, f"nobody {number}", PASSWORD, f"203.0.113.{number}")
    _, trail = await api.call("GET", "audit?action=login.refused")
    assert len(trail) == PER_HOUR_MAX


async def test_sessions_that_have_ended_are_not_listed(api: ControlApi) -> None:
    plane = api.plane
    old = await admin(plane)
    start = plane.clock()
    plane.clock = lambda: start + plane.facts.session_idle_s + 1
    assert await sessions.list_sessions(plane, old.session.person_id) == []
    new = await sessions.log_in(plane, "anne", PASSWORD, PEER)
    assert [found.shown_id for found in await sessions.list_sessions(plane, old.session.person_id)] == [
        new.session.shown_id
    ]


async def test_the_audit_trail_says_who_ended_sessions(api: ControlApi) -> None:
    plane = api.plane
    here = await admin(plane)
    await sessions.log_in(plane, "anne", PASSWORD, PEER)
    assert await sessions.end_other_sessions(plane, here.session.person_id, here.cookie_value) == 1
    await sessions.log_out(plane, here.cookie_value)
    await sessions.log_out(plane, here.cookie_value)
    _, trail = await api.call("GET", "audit?limit=2")
    assert [(entry["actor"], entry["action"], entry["subject"]) for entry in trail] == [
        ("person:anne", "logout.done", "anne"),
        ("person:anne", "sessions.ended", "anne"),
    ]
