"""Links that work once: they let somebody choose a password, or make the first admin."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.access_tables import ONE_TIME_LINKS, PEOPLE, SESSIONS
from agent.server.operations.control_plane import Change, ControlPlane
from agent.server.operations.failures import InvalidError, NotFoundError
from agent.server.operations.names import clean_name
from agent.server.operations.passwords import check_new_password
from agent.server.operations.person_names import check_name_is_free
from agent.server.operations.principal import Role
from agent.server.operations.sessions import NewSession, begin_session
from agent.server.tokens import digest

LIFETIME_S: Final = 86_400.0

_GONE: Final = (
    "This link has been used, has expired, or was replaced by a newer one: ask an admin for a new one, or restart the "
    "server to be given a new first link."
)


@dataclass(frozen=True, slots=True)
class OneTimeLink:
    """What is shown once; ``token`` is the last part of the address. Times are unix seconds."""

    token: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """What a link is for. ``person_name`` None: it makes the first admin, who chooses a name."""

    person_name: str | None
    role: Role
    expires_at: float


async def new_link(change: Change, person_id: str | None) -> OneTimeLink:
    """A new link, which replaces older ones for the same purpose."""
    table = ONE_TIME_LINKS
    same = table.c.person_id.is_(None) if person_id is None else table.c.person_id == person_id
    await change.connection.execute(delete(table).where(same | (table.c.expires_at <= change.now)))
    token = secrets.token_urlsafe(32)
    expires_at = change.now + LIFETIME_S
    await change.connection.execute(
        insert(table).values(sha256=digest(token), person_id=person_id, created_at=change.now, expires_at=expires_at)
    )
    return OneTimeLink(token, expires_at)


async def first_link(plane: ControlPlane) -> OneTimeLink | None:
    """A new link that makes the first admin, in place of older ones; None when an admin can log in already."""
    async with plane.note_change("server") as change:
        if await has_admin(change.connection):
            return None
        link = await new_link(change, None)
        await change.audit("person.first_link", "first admin", expires_at=link.expires_at)
    return link


async def look_at_link(plane: ControlPlane, token: str) -> LinkFacts | None:
    """What the link is for; None when it does not work any more, or never did."""
    query = (
        select(ONE_TIME_LINKS.c.expires_at, PEOPLE.c.name, PEOPLE.c.role, ONE_TIME_LINKS.c.person_id)
        .join(PEOPLE, PEOPLE.c.id == ONE_TIME_LINKS.c.person_id, isouter=True)
        .where(ONE_TIME_LINKS.c.sha256 == digest(token), ONE_TIME_LINKS.c.expires_at > plane.clock())
    )
    async with plane.read() as connection:
        row = (await connection.execute(query)).first()
    if row is None:
        return None
    role = Role.ADMIN if row.person_id is None else Role(row.role)
    return LinkFacts(row.name, role, row.expires_at)


async def redeem_link(plane: ControlPlane, token: str, *, name: str | None, password: str, peer: str) -> NewSession:
    """Set the password of the person the link is for (or make the first admin, called ``name``) and log them in.

    Their other sessions end. Raises NotFoundError for a link that does not work (any more), InvalidError for a name or
    password that cannot be, ConflictError for a name that is taken.
    """
    facts = await look_at_link(plane, token)
    if facts is None:
        raise NotFoundError(_GONE)
    chosen = facts.person_name if facts.person_name is not None else clean_name(name or "")
    check_new_password(password, chosen)
    kept = await plane.passwords.hash(password)
    async with plane.note_change(f"person:{chosen}") as change:
        # Deleting decides a race: only one of two requests finds the row.
        taken = await change.connection.execute(
            delete(ONE_TIME_LINKS)
            .where(ONE_TIME_LINKS.c.sha256 == digest(token), ONE_TIME_LINKS.c.expires_at > change.now)
            .returning(ONE_TIME_LINKS.c.person_id)
        )
        found = taken.first()
        if found is None:
            raise NotFoundError(_GONE)
        person_id = found.person_id or await _first_admin(change, chosen)
        await change.connection.execute(
            update(PEOPLE)
            .where(PEOPLE.c.id == person_id)
            .values(password_hash=kept, password_changed_at=change.now, last_login_at=change.now)
        )
        await change.connection.execute(delete(SESSIONS).where(SESSIONS.c.person_id == person_id))
        session = await begin_session(plane, change, person_id, peer)
        if (
            session.session.role is Role.ADMIN
        ):  # whoever reads the first link in a terminal or journal later is too late
            await change.connection.execute(delete(ONE_TIME_LINKS).where(ONE_TIME_LINKS.c.person_id.is_(None)))
        await change.audit("person.password_set", chosen, person_id=person_id, peer=peer)
    return session


async def _first_admin(change: Change, name: str) -> str:
    if not name:
        raise InvalidError("Choose a name to log in with.", field="name")
    await check_name_is_free(change.connection, name)
    person_id = str(uuid.uuid4())
    await change.connection.execute(
        insert(PEOPLE).values(id=person_id, name=name, role=Role.ADMIN.value, created_at=change.now)
    )
    await change.audit("person.first_admin", name, person_id=person_id)
    return person_id


async def has_admin(connection: AsyncConnection) -> bool:
    """Is there an admin who can log in?"""
    query = select(PEOPLE.c.id).where(
        PEOPLE.c.role == Role.ADMIN.value, PEOPLE.c.enabled, PEOPLE.c.password_hash.is_not(None)
    )
    return (await connection.execute(query.limit(1))).first() is not None
