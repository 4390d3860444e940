"""Logging in and out of the panel; sessions live in the database, known by the SHA-256 of their cookie."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Select, delete, insert, select, update

from agent.server.db.access_tables import PEOPLE, SESSIONS
from agent.server.operations.control_plane import Change, ControlPlane
from agent.server.operations.failures import InvalidError, OperationError
from agent.server.operations.passwords import check_new_password, is_outdated
from agent.server.operations.person_names import has_name
from agent.server.operations.principal import Role
from agent.server.tokens import digest

SEEN_EVERY_S: Final = 60.0
UNKNOWN_NAME: Final = "unknown name"

_OLD_IS_WRONG: Final = "The present password is not right."

_LOG = structlog.get_logger()


class LoginRefusedError(OperationError):
    """Name or password are wrong, or the person is disabled: which of them is not said."""

    name = "login_refused"


class TooManyAttemptsError(OperationError):
    """Too many failures: ``retry_after_s`` is how long to wait."""

    name = "too_many_attempts"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"Too many failed logins: wait {round(retry_after_s) + 1} s and try again.")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Session:
    """Who is logged in. ``expires_at`` is unix time; ``shown_id`` tells sessions apart without opening them."""

    person_id: str
    name: str
    role: Role
    csrf_token: str = field(repr=False)
    expires_at: float
    created_at: float
    last_seen_at: float
    peer: str
    shown_id: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just begun, and the value of its cookie, which is given to the browser only."""

    cookie_value: str = field(repr=False)
    session: Session


async def log_in(plane: ControlPlane, name: str, password: str, peer: str) -> NewSession:
    """Check name and password and begin a session, with an id of its own.

    Raises LoginRefusedError, or TooManyAttemptsError before anything is checked.
    """
    name = " ".join(name.split())
    wait_s = plane.throttle.wait_s(peer, name)
    if wait_s > 0:
        plane.throttle.outcomes["throttled"] += 1
        raise TooManyAttemptsError(wait_s)
    plane.throttle.failed(peer, name)
    async with plane.read() as connection:
        query = select(PEOPLE).where(has_name(name))
        row = (await connection.execute(query)).mappings().first() if name.isprintable() else None
    right = await plane.passwords.matches(row["password_hash"] if row is not None else None, password)
    if row is None or not right or not row["enabled"]:
        raise await _refused(plane, row["name"] if row is not None else None, peer, "Name or password are not right.")
    kept = await plane.passwords.hash(password) if is_outdated(row["password_hash"]) else row["password_hash"]
    async with plane.note_change(f"person:{row['name']}") as change:
        # Only if nothing changed meanwhile: the old password must not come back, nor somebody who was disabled.
        entered = await change.connection.execute(
            update(PEOPLE)
            .where(PEOPLE.c.id == row["id"], PEOPLE.c.password_hash == row["password_hash"], PEOPLE.c.enabled)
            .values(last_login_at=change.now, password_hash=kept)
        )
        if not entered.rowcount:
            raise LoginRefusedError("Name or password are not right.")
        begun = await begin_session(plane, change, row["id"], peer)
        await change.audit("login.done", row["name"], peer=peer)
    plane.throttle.succeeded(peer, name)
    return begun


async def _refused(plane: ControlPlane, person: str | None, peer: str, sentence: str, **more: str) -> LoginRefusedError:
    """What to raise, once it is logged and audited; ``person`` None: nobody has the name that was typed.

    That name is not written down: it may be a password that was typed into the wrong field. The line is written all
    the same, so that a name that exists does not take longer.
    """
    subject = person or UNKNOWN_NAME
    plane.throttle.outcomes["refused"] += 1
    _LOG.warning("login.refused", person=person, peer=peer)
    if plane.refusals.take(subject):
        async with plane.note_change(f"person:{person}" if person else "server") as change:
            await change.audit("login.refused", subject, peer=peer)
    return LoginRefusedError(sentence, **more)


async def begin_session(plane: ControlPlane, change: Change, person_id: str, peer: str) -> NewSession:
    """A session for somebody whose password was checked just now; sweeps what has expired."""
    idle_since = change.now - plane.facts.session_idle_s
    await change.connection.execute(
        delete(SESSIONS).where((SESSIONS.c.expires_at <= change.now) | (SESSIONS.c.last_seen_at <= idle_since))
    )
    value = secrets.token_urlsafe(32)
    await change.connection.execute(
        insert(SESSIONS).values(
            sha256=digest(value),
            person_id=person_id,
            csrf_token=secrets.token_urlsafe(32),
            created_at=change.now,
            last_seen_at=change.now,
            expires_at=change.now + plane.facts.session_lifetime_s,
            peer=peer[:100],
        )
    )
    row = (await change.connection.execute(_query(SESSIONS.c.sha256 == digest(value)))).first()
    return NewSession(value, _session(row))


async def find_session(plane: ControlPlane, cookie_value: str) -> Session | None:
    """Who this cookie is; None when it is unknown, has ended, or belongs to somebody who is disabled."""
    now = plane.clock()
    async with plane.read() as connection:
        row = (await connection.execute(_query(SESSIONS.c.sha256 == digest(cookie_value)))).first()
    if row is None or not row.enabled or now >= row.expires_at or now - row.last_seen_at >= plane.facts.session_idle_s:
        return None
    if now - row.last_seen_at >= SEEN_EVERY_S:
        seen = update(SESSIONS).where(SESSIONS.c.sha256 == digest(cookie_value))
        await plane.note_use(seen.values(last_seen_at=now))
    return _session(row)


async def log_out(plane: ControlPlane, cookie_value: str) -> None:
    """End this session; one that has ended already is no error."""
    session = await find_session(plane, cookie_value)
    if session is None:
        return
    async with plane.note_change(f"person:{session.name}") as change:
        await change.connection.execute(delete(SESSIONS).where(SESSIONS.c.sha256 == digest(cookie_value)))
        await change.audit("logout.done", session.name)


async def list_sessions(plane: ControlPlane, person_id: str) -> list[Session]:
    """The living sessions of one person, newest first."""
    now = plane.clock()
    is_alive = (SESSIONS.c.expires_at > now) & (SESSIONS.c.last_seen_at > now - plane.facts.session_idle_s)
    query = _query((SESSIONS.c.person_id == person_id) & is_alive).order_by(SESSIONS.c.last_seen_at.desc())
    async with plane.read() as connection:
        return [_session(row) for row in await connection.execute(query)]


async def end_other_sessions(plane: ControlPlane, person_id: str, cookie_value: str) -> int:
    """End all sessions of a person but this one; how many there were."""
    async with plane.read() as connection:
        query = select(PEOPLE.c.name).where(PEOPLE.c.id == person_id)
        name = (await connection.execute(query)).scalar_one()
    async with plane.note_change(f"person:{name}") as change:
        ended = await change.connection.execute(
            delete(SESSIONS).where(SESSIONS.c.person_id == person_id, SESSIONS.c.sha256 != digest(cookie_value))
        )
        count: int = ended.rowcount
        await change.audit("sessions.ended", name, person_id=person_id, count=count)
    return count


async def change_password(
    plane: ControlPlane, person_id: str, *, old: str, new: str, cookie_value: str, peer: str
) -> None:
    """Change the own password; other sessions end. Raises LoginRefusedError, TooManyAttemptsError, InvalidError."""
    async with plane.read() as connection:
        row = (await connection.execute(select(PEOPLE).where(PEOPLE.c.id == person_id))).mappings().one()
    wait_s = plane.throttle.wait_s(peer, row["name"])
    if wait_s > 0:
        plane.throttle.outcomes["throttled"] += 1
        raise TooManyAttemptsError(wait_s)
    plane.throttle.failed(peer, row["name"])
    if not await plane.passwords.matches(row["password_hash"], old):
        raise await _refused(plane, row["name"], peer, _OLD_IS_WRONG, field="old_password")
    plane.throttle.succeeded(peer, row["name"])
    check_new_password(new, row["name"])
    if new == old:
        raise InvalidError("The new password is the old one: take another one.", field="password")
    kept = await plane.passwords.hash(new)
    async with plane.note_change(f"person:{row['name']}") as change:
        changed = await change.connection.execute(
            update(PEOPLE)
            .where(PEOPLE.c.id == person_id, PEOPLE.c.password_hash == row["password_hash"])
            .values(password_hash=kept, password_changed_at=change.now)
        )
        if not changed.rowcount:  # somebody else changed it in this moment
            raise LoginRefusedError(_OLD_IS_WRONG, field="old_password")
        await change.connection.execute(
            delete(SESSIONS).where(SESSIONS.c.person_id == person_id, SESSIONS.c.sha256 != digest(cookie_value))
        )
        await change.audit("person.password_changed", row["name"], person_id=person_id, peer=peer)


def _query(condition: ColumnElement[bool]) -> Select[Any]:
    return select(SESSIONS, PEOPLE.c.name, PEOPLE.c.role, PEOPLE.c.enabled).join(PEOPLE).where(condition)


def _session(row: Any) -> Session:  # noqa: ANN401 - a row of many columns has no shorter type
    return Session(
        person_id=row.person_id,
        name=row.name,
        role=Role(row.role),
        csrf_token=row.csrf_token,
        expires_at=row.expires_at,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        peer=row.peer,
        shown_id=row.sha256[:4].hex(),
    )
