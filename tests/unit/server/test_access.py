"""People, links, sessions and API tokens: what lets somebody in, and what keeps them out at once."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from agent.server.db.access_tables import API_TOKENS, ONE_TIME_LINKS, PEOPLE, SESSIONS
from agent.server.operations import api_tokens, people, sessions
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError, InvalidError, NotFoundError
from agent.server.operations.login_throttle import LoginThrottle
from agent.server.operations.one_time_links import LIFETIME_S, first_link, look_at_link, redeem_link
from agent.server.operations.passwords import Passwords, check_new_password
from agent.server.operations.principal import ForbiddenError, Permission, Principal, Role
from agent.server.operations.sessions import LoginRefusedError, NewSession, TooManyAttemptsError
from tests.kit.control_plane import ControlApi

PASSWORD = "correct horse battery"
OTHER = "another long password"
PEER = "192.0.2.1"
ADMIN = Principal("person:anne", Role.ADMIN)


async def first_admin(plane: ControlPlane, name: str = "anne") -> NewSession:
    link = await first_link(plane)
    assert link is not None
    return await redeem_link(plane, link.token, name=name, password=PASSWORD, peer=PEER)


async def invited(plane: ControlPlane, name: str, role: Role) -> NewSession:
    link = (await people.invite_person(plane, ADMIN, name=name, role=role)).link
    return await redeem_link(plane, link.token, name=None, password=PASSWORD, peer=PEER)


async def test_the_first_link_makes_an_admin_once(api: ControlApi) -> None:
    plane = api.plane
    old, new = await first_link(plane), await first_link(plane)
    assert old is not None
    assert new is not None
    assert await look_at_link(plane, old.token) is None  # a newer one replaces it
    facts = await look_at_link(plane, new.token)
    assert facts is not None
    assert (facts.person_name, facts.role) == (None, Role.ADMIN)
    begun = await redeem_link(plane, new.token, name="anne", password=PASSWORD, peer=PEER)
    assert (begun.session.name, begun.session.role) == ("anne", Role.ADMIN)
    with pytest.raises(NotFoundError, match="has been used"):
        await redeem_link(plane, new.token, name="eve", password=PASSWORD, peer=PEER)
    assert await first_link(plane) is None  # an admin can log in


async def test_two_who_use_one_link_at_once_make_one_account(api: ControlApi) -> None:
    link = await first_link(api.plane)
    assert link is not None
    uses = [redeem_link(api.plane, link.token, name=f"n{n}", password=PASSWORD, peer=PEER) for n in range(4)]
    outcomes = await asyncio.gather(*uses, return_exceptions=True)
    assert sum(isinstance(outcome, NewSession) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, NotFoundError) for outcome in outcomes) == 3
    async with api.plane.read() as connection:
        assert len((await connection.execute(select(PEOPLE))).all()) == 1


async def test_a_link_expires(api: ControlApi) -> None:
    link = await first_link(api.plane)
    assert link is not None
    now = api.plane.clock()
    api.plane.clock = lambda: now + LIFETIME_S + 1
    assert await look_at_link(api.plane, link.token) is None
    with pytest.raises(NotFoundError):
        await redeem_link(api.plane, link.token, name="anne", password=PASSWORD, peer=PEER)


@pytest.mark.parametrize(
    "password", ["short", "x" * 300, "aaaaaaaaaaaaaaaa", "password1234", "anneanneanne-1"[:12] + "", "PrestaShop!!2024"]
)
def test_passwords_that_would_be_guessed_first(password: str) -> None:
    with pytest.raises(InvalidError):
        check_new_password(password, "anneanneanne")


async def test_a_wrong_name_takes_as_long_as_a_wrong_password() -> None:
    passwords = Passwords()
    kept = await passwords.hash(PASSWORD)
    assert kept.startswith("$argon2id$")
    assert await passwords.matches(kept, PASSWORD)
    assert not await passwords.matches(kept, OTHER)
    assert not await passwords.matches(None, "a password that nobody has")  # the text of the dummy opens nothing
    assert not await passwords.matches("not a hash", PASSWORD)


async def test_logging_in_and_out(api: ControlApi) -> None:
    plane = api.plane
    await first_admin(plane)
    one = await sessions.log_in(plane, "  Anne ", PASSWORD, PEER)
    two = await sessions.log_in(plane, "anne", PASSWORD, PEER)
    assert one.cookie_value != two.cookie_value
    assert one.session.csrf_token != two.session.csrf_token
    assert await sessions.find_session(plane, one.cookie_value) is not None
    assert await sessions.find_session(plane, one.cookie_value[:-1]) is None
    await sessions.log_out(plane, one.cookie_value)
    assert await sessions.find_session(plane, one.cookie_value) is None
    assert await sessions.find_session(plane, two.cookie_value) is not None


async def test_nothing_that_opens_a_session_is_kept(api: ControlApi) -> None:
    begun = await first_admin(api.plane)
    made = await api_tokens.create_api_token(api.plane, ADMIN, name="ci", role=Role.VIEWER)
    async with api.plane.read() as connection:
        rows = [
            str(row)
            for table in (PEOPLE, SESSIONS, ONE_TIME_LINKS, API_TOKENS)
            for row in await connection.execute(select(table))
        ]
    for secret in (begun.cookie_value, made.secret, PASSWORD):
        assert secret not in "".join(rows)
        assert secret not in repr(begun) + repr(made)


@pytest.mark.parametrize(("name", "password"), [("anne", OTHER), ("nobody", PASSWORD), ("", ""), ("a\x00b", PASSWORD)])
async def test_a_refused_login_says_the_same_whatever_is_wrong(api: ControlApi, name: str, password: str) -> None:
    await first_admin(api.plane)
    with pytest.raises(LoginRefusedError) as caught:
        await sessions.log_in(api.plane, name, password, PEER)
    assert str(caught.value) == "Name or password are not right."


async def test_guessing_is_slowed_down_before_anything_is_checked(api: ControlApi) -> None:
    api.plane.throttle = LoginThrottle(lambda: 1000.0)  # on a slow machine the last hash takes longer than the wait
    await first_admin(api.plane)
    for _ in range(6):
        with pytest.raises(LoginRefusedError):
            await sessions.log_in(api.plane, "anne", OTHER, "198.51.100.1")
    with pytest.raises(TooManyAttemptsError) as caught:
        await sessions.log_in(api.plane, "anne", PASSWORD, "198.51.100.1")
    assert 0 < caught.value.retry_after_s <= 2
    _, trail = await api.call("GET", "audit?action=login.refused")
    assert [entry["subject"] for entry in trail] == ["anne"] * 6


async def test_a_session_ends_when_it_is_not_used_and_in_any_case(api: ControlApi) -> None:
    plane = api.plane
    begun = await first_admin(plane)
    start = plane.clock()
    plane.clock = lambda: start + plane.facts.session_idle_s - 1
    assert await sessions.find_session(plane, begun.cookie_value) is not None  # and it was used now
    plane.clock = lambda: start + 2 * plane.facts.session_idle_s - 3
    assert await sessions.find_session(plane, begun.cookie_value) is not None
    plane.clock = lambda: start + plane.facts.session_lifetime_s + 1
    assert await sessions.find_session(plane, begun.cookie_value) is None
    begun = await sessions.log_in(plane, "anne", PASSWORD, PEER)
    later = plane.clock() + plane.facts.session_idle_s + 1
    plane.clock = lambda: later
    assert await sessions.find_session(plane, begun.cookie_value) is None


async def test_disabling_and_deleting_end_sessions_at_once(api: ControlApi) -> None:
    plane = api.plane
    await first_admin(plane)
    begun = await invited(plane, "eddie", Role.EDITOR)
    await people.set_person_enabled(plane, ADMIN, "eddie", enabled=False)
    assert await sessions.find_session(plane, begun.cookie_value) is None
    with pytest.raises(LoginRefusedError):
        await sessions.log_in(plane, "eddie", PASSWORD, PEER)
    await people.set_person_enabled(plane, ADMIN, "eddie", enabled=True)
    begun = await sessions.log_in(plane, "eddie", PASSWORD, PEER)
    assert await people.delete_person(plane, "person:anne", "eddie") == "eddie"
    assert await sessions.find_session(plane, begun.cookie_value) is None


async def test_a_changed_role_counts_from_the_next_request_on(api: ControlApi) -> None:
    await first_admin(api.plane)
    begun = await invited(api.plane, "eddie", Role.EDITOR)
    await people.set_role(api.plane, ADMIN, "eddie", Role.VIEWER)
    found = await sessions.find_session(api.plane, begun.cookie_value)
    assert found is not None
    assert found.role is Role.VIEWER


async def test_the_last_admin_stays(api: ControlApi) -> None:
    plane = api.plane
    await first_admin(plane)
    await people.invite_person(plane, ADMIN, name="not here yet", role=Role.ADMIN)  # has no password
    for attempt in (
        people.set_role(plane, ADMIN, "anne", Role.EDITOR),
        people.set_person_enabled(plane, ADMIN, "anne", enabled=False),
        people.delete_person(plane, "person:anne", "anne"),
    ):
        with pytest.raises(ConflictError, match="only admin who can log in"):
            await attempt
    await invited(plane, "berta", Role.ADMIN)
    assert (await people.set_role(plane, ADMIN, "anne", Role.EDITOR)).role is Role.EDITOR


async def test_a_new_link_ends_the_sessions_when_it_is_used(api: ControlApi) -> None:
    plane = api.plane
    before = await first_admin(plane)
    link = (await people.renew_link(plane, ADMIN, "anne")).link
    assert await sessions.find_session(plane, before.cookie_value) is not None
    after = await redeem_link(plane, link.token, name="ignored", password=OTHER, peer=PEER)
    assert after.session.name == "anne"
    assert await sessions.find_session(plane, before.cookie_value) is None


async def test_changing_the_own_password(api: ControlApi) -> None:
    plane = api.plane
    here = await first_admin(plane)
    elsewhere = await sessions.log_in(plane, "anne", PASSWORD, PEER)
    person_id = here.session.person_id
    given = {"cookie_value": here.cookie_value, "peer": PEER}
    with pytest.raises(LoginRefusedError):
        await sessions.change_password(plane, person_id, old=OTHER, new=OTHER, **given)
    with pytest.raises(InvalidError, match="old one"):
        await sessions.change_password(plane, person_id, old=PASSWORD, new=PASSWORD, **given)
    await sessions.change_password(plane, person_id, old=PASSWORD, new=OTHER, **given)
    assert await sessions.find_session(plane, here.cookie_value) is not None
    assert await sessions.find_session(plane, elsewhere.cookie_value) is None
    with pytest.raises(LoginRefusedError):
        await sessions.log_in(plane, "anne", PASSWORD, PEER)


async def test_an_api_token_opens_what_it_says_until_it_is_revoked(api: ControlApi) -> None:
    plane = api.plane
    made = await api_tokens.create_api_token(plane, ADMIN, name="ci", role=Role.EDITOR, scopes=["agents:read"])
    assert made.secret.startswith("ist_")
    found = await api_tokens.find_token(plane, made.secret)
    assert found is not None
    assert (found.role, found.scopes) == (Role.EDITOR, ("agents:read",))
    assert await api_tokens.find_token(plane, made.secret + "x") is None
    with pytest.raises(ConflictError):
        await api_tokens.create_api_token(plane, ADMIN, name="ci", role=Role.VIEWER)
    await api_tokens.revoke_api_token(plane, "person:anne", "ci")
    assert await api_tokens.find_token(plane, made.secret) is None


async def test_an_api_token_expires(api: ControlApi) -> None:
    plane = api.plane
    now = plane.clock()
    made = await api_tokens.create_api_token(plane, ADMIN, name="ci", role=Role.VIEWER, expires_at=now + 60)
    plane.clock = lambda: now + 61
    assert await api_tokens.find_token(plane, made.secret) is None


@pytest.mark.parametrize(
    ("asker", "role", "scopes"),
    [
        (Principal("token:t", Role.EDITOR), Role.ADMIN, None),
        (Principal("token:t", Role.ADMIN, frozenset({"api-tokens"})), Role.ADMIN, None),
        (Principal("token:t", Role.ADMIN, frozenset({"api-tokens"})), Role.VIEWER, ["agents:read"]),
    ],
)
async def test_nobody_mints_more_than_they_may(
    api: ControlApi, asker: Principal, role: Role, scopes: list[str] | None
) -> None:
    with pytest.raises(ForbiddenError):
        await api_tokens.create_api_token(api.plane, asker, name="more", role=role, scopes=scopes)


def test_roles_include_each_other_and_scopes_narrow() -> None:
    for permission in Permission:
        allowed = [role for role in Role if Principal("x", role).may(permission)]
        assert allowed == [role for role in Role if role.includes(permission.lowest_role)]
        assert not Principal("x", Role.ADMIN, frozenset()).may(permission)
    with pytest.raises(ForbiddenError, match="lacks the scope agents:mint"):
        Principal("x", Role.ADMIN, frozenset({"agents:read"})).require(Permission.AGENTS_MINT)
    with pytest.raises(ForbiddenError, match="needs the role admin"):
        Principal("x", Role.EDITOR).require(Permission.AGENTS_MINT)
