"""API tokens: with one, a program calls ``/v1`` as a person with a role would, perhaps narrowed to scopes.

A token never may do more than the person who made it may do now: it rests while they are disabled, and is revoked when
they are deleted. Tokens that were made by command belong to nobody, and last by themselves.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import RowMapping, Select, insert, select, update

from agent.server.db.access_tables import API_TOKENS, PEOPLE
from agent.server.operations.control_plane import Change, ControlPlane
from agent.server.operations.failures import ConflictError, InvalidError, NotFoundError
from agent.server.operations.names import clean_name
from agent.server.operations.paging import Listed, Paging, contains
from agent.server.operations.principal import ForbiddenError, Permission, Principal, Role
from agent.server.tokens import digest

PREFIX: Final = "ist_"
"""So that scanners of source code find a token that was committed by mistake."""

SCOPES: Final = tuple(permission.scope for permission in Permission)
USED_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ApiToken:
    """One token, without its secret; times are unix seconds. ``scopes`` None = all that the role may do.

    ``made_by`` is the name of the person ``maker_id``; None for a token that was made by command. ``is_resting``: that
    person is disabled, or not there any more.
    """

    id: str
    name: str
    role: Role
    scopes: tuple[str, ...] | None
    maker_id: str | None
    made_by: str | None
    is_resting: bool
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None

    def state(self, now: float) -> str:
        """``active``, ``resting``, ``expired`` or ``revoked`` at unix time ``now``."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and now >= self.expires_at:
            return "expired"
        return "resting" if self.is_resting else "active"


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """A created token; ``secret`` is shown once."""

    token: ApiToken
    secret: str = field(repr=False)


async def create_api_token(
    plane: ControlPlane,
    asker: Principal,
    *,
    name: str,
    role: Role,
    scopes: Collection[str] | None = None,
    expires_at: float | None = None,
) -> NewApiToken:
    """Mint a token; nobody can mint one that may do more than they may.

    Raises InvalidError for an unknown scope or a past expiry, ForbiddenError, ConflictError for a name in use.
    """
    name = clean_name(name)
    chosen = _clean_scopes(scopes)
    asked = Principal(asker.actor, role, frozenset(chosen) if chosen is not None else None)
    if not asker.covers(asked):
        raise ForbiddenError(f"{asker.actor} cannot make a token that may do more than {asker.actor}: narrow its role.")
    secret = PREFIX + secrets.token_urlsafe(32)
    token_id = str(uuid.uuid4())
    async with plane.note_change(asker.actor) as change:
        if expires_at is not None and expires_at <= change.now:
            raise InvalidError("The expiry is not in the future.", field="expires_at")
        same = select(API_TOKENS.c.id).where(API_TOKENS.c.name == name, API_TOKENS.c.revoked_at.is_(None))
        if (await change.connection.execute(same)).first() is not None:
            raise ConflictError(f'An API token named "{name}" exists: choose another name.', field="name")
        await change.connection.execute(
            insert(API_TOKENS).values(
                id=token_id,
                name=name,
                sha256=digest(secret),
                role=role.value,
                scopes=chosen,
                maker_id=asker.person_id or asker.maker_id,
                created_at=change.now,
                expires_at=expires_at,
            )
        )
        await change.audit(
            "api_token.created", name, token_id=token_id, role=role.value, scopes=chosen, expires_at=expires_at
        )
    return NewApiToken(await _get(plane, token_id), secret)


async def list_api_tokens(plane: ControlPlane, paging: Paging) -> Listed[ApiToken]:
    """Tokens, revoked ones too, newest first."""
    query = _query().where(contains(paging.search, API_TOKENS.c.name))
    async with plane.read() as connection:
        return await paging.run(connection, query.order_by(API_TOKENS.c.created_at.desc(), API_TOKENS.c.id), _token)


async def revoke_api_token(plane: ControlPlane, actor: str, reference: str) -> ApiToken:
    """Stop a token, by id, or by the name of a living one; again changes nothing. Raises NotFoundError."""
    async with plane.note_change(actor) as change:
        living = (API_TOKENS.c.name == reference) & API_TOKENS.c.revoked_at.is_(None)
        query = select(API_TOKENS).where((API_TOKENS.c.id == reference) | living)
        # PostgreSQL refuses a NUL where SQLite finds nothing.
        row = (await change.connection.execute(query)).mappings().first() if reference.isprintable() else None
        if row is None:
            raise NotFoundError(
                "No API token has this id or name: integration-server tokens list shows those there are."
            )
        if row["revoked_at"] is None:
            await _revoke(change, row)
    return await _get(plane, row["id"])


async def end_tokens_of(change: Change, person_id: str) -> None:
    """Revoke the living tokens that this person made."""
    own = (API_TOKENS.c.maker_id == person_id) & API_TOKENS.c.revoked_at.is_(None)
    for row in (await change.connection.execute(select(API_TOKENS).where(own))).mappings().all():
        await _revoke(change, row)


async def find_token(plane: ControlPlane, secret: str) -> ApiToken | None:
    """The living token of this secret, with the role that it has now; notes, once a minute at most, that it was used.

    None also while the person who made it is disabled; when they have a lower role by now, it has that one, too.
    """
    if not secret.startswith(PREFIX):
        return None
    now = plane.clock()
    async with plane.read() as connection:
        row = (await connection.execute(_query().where(API_TOKENS.c.sha256 == digest(secret)))).mappings().first()
    token = _token(row) if row is not None else None
    if row is None or token is None or token.state(now) != "active":
        return None
    if row["last_used_at"] is None or now - row["last_used_at"] >= USED_EVERY_S:
        await plane.note_use(update(API_TOKENS).where(API_TOKENS.c.id == row["id"]).values(last_used_at=now))
    maker_role = Role(row["maker_role"]) if row["maker_role"] is not None else token.role
    return token if maker_role.includes(token.role) else replace(token, role=maker_role)


async def _revoke(change: Change, row: RowMapping) -> None:
    await change.connection.execute(
        update(API_TOKENS).where(API_TOKENS.c.id == row["id"]).values(revoked_at=change.now)
    )
    await change.audit("api_token.revoked", row["name"], token_id=row["id"])


async def _get(plane: ControlPlane, token_id: str) -> ApiToken:
    async with plane.read() as connection:
        row = (await connection.execute(_query().where(API_TOKENS.c.id == token_id))).mappings().one()
    return _token(row)


def _query() -> Select[Any]:
    maker = (
        PEOPLE.c.name.label("maker_name"),
        PEOPLE.c.role.label("maker_role"),
        PEOPLE.c.enabled.label("maker_enabled"),
    )
    return select(API_TOKENS, *maker).join(PEOPLE, PEOPLE.c.id == API_TOKENS.c.maker_id, isouter=True)


def _clean_scopes(scopes: Collection[str] | None) -> list[str] | None:
    if scopes is None:
        return None
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InvalidError(
            f"Scopes are {', '.join(SCOPES)}; " + ("one that was given is not." if unknown else "none was given."),
            field="scopes",
        )
    return [scope for scope in SCOPES if scope in set(scopes)]


def _token(row: RowMapping) -> ApiToken:
    return ApiToken(
        id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        scopes=tuple(row["scopes"]) if row["scopes"] is not None else None,
        maker_id=row["maker_id"],
        made_by=row["maker_name"],
        is_resting=row["maker_id"] is not None and not row["maker_enabled"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
