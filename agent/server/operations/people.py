"""People who use the panel: listing, inviting, roles, disabling, deleting."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.access_tables import ONE_TIME_LINKS, PEOPLE, SESSIONS
from agent.server.operations.api_tokens import end_tokens_of
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError, NotFoundError
from agent.server.operations.names import clean_name
from agent.server.operations.one_time_links import OneTimeLink, new_link
from agent.server.operations.paging import Listed, Paging, contains
from agent.server.operations.person_names import check_name_is_free
from agent.server.operations.principal import ForbiddenError, Principal, Role


@dataclass(frozen=True, slots=True)
class Person:
    """One person; times are unix seconds. ``has_password`` is False until the one-time link was used."""

    id: str
    name: str
    role: Role
    enabled: bool
    has_password: bool
    created_at: float
    last_login_at: float | None


@dataclass(frozen=True, slots=True)
class Invited:
    """A person and the link that lets them choose a password, shown this once."""

    person: Person
    link: OneTimeLink


async def list_people(plane: ControlPlane, paging: Paging, *, role: Role | None = None) -> Listed[Person]:
    """People by name."""
    query = select(PEOPLE).where(contains(paging.search, PEOPLE.c.name))
    if role is not None:
        query = query.where(PEOPLE.c.role == role.value)
    async with plane.read() as connection:
        return await paging.run(connection, query.order_by(PEOPLE.c.name), _person)


async def get_person(plane: ControlPlane, reference: str) -> Person:
    """The person with this id or name. Raises NotFoundError."""
    async with plane.read() as connection:
        return _person(await find_person(connection, reference))


async def invite_person(plane: ControlPlane, asker: Principal, *, name: str, role: Role) -> Invited:
    """Make a person without a password, and a link that works once.

    Raises ConflictError for a name that is taken, ForbiddenError for a role that may do more than ``asker``.
    """
    name = clean_name(name)
    _check_may_let_in(asker, role)
    person_id = str(uuid.uuid4())
    async with plane.note_change(asker.actor) as change:
        await check_name_is_free(change.connection, name)
        await change.connection.execute(
            insert(PEOPLE).values(id=person_id, name=name, role=role.value, created_at=change.now)
        )
        link = await new_link(change, person_id)
        await change.audit("person.invited", name, person_id=person_id, role=role.value)
    return Invited(await get_person(plane, person_id), link)


async def renew_link(plane: ControlPlane, asker: Principal, reference: str) -> Invited:
    """A new link for somebody who lost the password or the link; the old password works until it is used.

    Raises NotFoundError, ConflictError for somebody who is disabled, ForbiddenError for one who may do more than
    ``asker``: whoever has the link becomes that person.
    """
    async with plane.note_change(asker.actor) as change:
        row = await find_person(change.connection, reference)
        _check_may_let_in(asker, Role(row["role"]))
        if not row["enabled"]:
            raise ConflictError(f'"{row["name"]}" is disabled: enable them first.')
        link = await new_link(change, row["id"])
        await change.audit("person.link_renewed", row["name"], person_id=row["id"])
    return Invited(await get_person(plane, row["id"]), link)


async def set_role(plane: ControlPlane, asker: Principal, reference: str, role: Role) -> Person:
    """Change the role; it counts from the next request on.

    Raises NotFoundError, ConflictError for the last admin, ForbiddenError for a higher role than before that may do
    more than ``asker``.
    """
    async with plane.note_change(asker.actor) as change:
        row = await find_person(change.connection, reference)
        if not Role(row["role"]).includes(role):
            _check_may_let_in(asker, role)
        if role is not Role.ADMIN:
            await _check_an_admin_remains(change.connection, row)
        if row["role"] != role.value:
            await change.connection.execute(update(PEOPLE).where(PEOPLE.c.id == row["id"]).values(role=role.value))
            await change.audit(
                "person.role_changed", row["name"], person_id=row["id"], before=row["role"], after=role.value
            )
    return await get_person(plane, row["id"])


async def set_person_enabled(plane: ControlPlane, asker: Principal, reference: str, *, enabled: bool) -> Person:
    """Let somebody in again, or end their sessions and links and keep them out; their API tokens rest meanwhile.

    Raises NotFoundError, ConflictError for the last admin, ForbiddenError for letting in one who may do more than
    ``asker``.
    """
    async with plane.note_change(asker.actor) as change:
        row = await find_person(change.connection, reference)
        if enabled:
            _check_may_let_in(asker, Role(row["role"]))
        if bool(row["enabled"]) != enabled:
            if not enabled:
                await _check_an_admin_remains(change.connection, row)
                await _end_access(change.connection, row["id"])
            await change.connection.execute(update(PEOPLE).where(PEOPLE.c.id == row["id"]).values(enabled=enabled))
            await change.audit("person.enabled" if enabled else "person.disabled", row["name"], person_id=row["id"])
    return await get_person(plane, row["id"])


async def delete_person(plane: ControlPlane, actor: str, reference: str) -> str:
    """Delete somebody with their sessions, and revoke the API tokens that they made; the name is returned.

    The audit trail keeps the name. Raises NotFoundError, ConflictError for the last admin.
    """
    async with plane.note_change(actor) as change:
        row = await find_person(change.connection, reference)
        await _check_an_admin_remains(change.connection, row)
        await _end_access(change.connection, row["id"])
        await end_tokens_of(change, row["id"])
        await change.connection.execute(delete(PEOPLE).where(PEOPLE.c.id == row["id"]))
        await change.audit("person.deleted", row["name"], person_id=row["id"])
    return str(row["name"])


async def find_person(connection: AsyncConnection, reference: str) -> RowMapping:
    """The row of an id or name. Raises NotFoundError."""
    query = select(PEOPLE).where((PEOPLE.c.id == reference) | (PEOPLE.c.name == reference))
    ordered = query.order_by((PEOPLE.c.id == reference).desc()).limit(1)
    # PostgreSQL refuses a NUL where SQLite finds nothing.
    row = (await connection.execute(ordered)).mappings().first() if reference.isprintable() else None
    if row is None:
        raise NotFoundError(
            "Nobody has this id or name: integration-server people list, or the page People, shows who there is."
        )
    return row


def _check_may_let_in(asker: Principal, role: Role) -> None:
    """An API token that is narrowed to the scope ``people`` must not make itself an admin."""
    if not asker.covers(Principal("", role)):
        raise ForbiddenError(f"{asker.actor} cannot let in somebody of the role {role}, who may do more than it may.")


async def _check_an_admin_remains(connection: AsyncConnection, row: RowMapping) -> None:
    if row["role"] != Role.ADMIN.value or not row["enabled"] or row["password_hash"] is None:
        return
    others = select(func.count()).where(
        PEOPLE.c.role == Role.ADMIN.value,
        PEOPLE.c.enabled,
        PEOPLE.c.password_hash.is_not(None),
        PEOPLE.c.id != row["id"],
    )
    if not (await connection.execute(others)).scalar_one():
        raise ConflictError(f'"{row["name"]}" is the only admin who can log in: make somebody else an admin first.')


async def _end_access(connection: AsyncConnection, person_id: str) -> None:
    for table in (SESSIONS, ONE_TIME_LINKS):
        await connection.execute(delete(table).where(table.c.person_id == person_id))


def _person(row: RowMapping) -> Person:
    return Person(
        id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        enabled=bool(row["enabled"]),
        has_password=row["password_hash"] is not None,
        created_at=row["created_at"],
        last_login_at=row["last_login_at"],
    )
