"""``/v1/people``, ``/v1/api-tokens`` and ``/v1/session``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from agent.server.api.gate import Asker, Needs, Plane
from agent.server.api.models.access import (
    ApiTokenAsked,
    ApiTokenCreated,
    ApiTokenShown,
    PersonAsked,
    PersonEdited,
    PersonInvited,
    PersonShown,
    SelfShown,
    SessionShown,
)
from agent.server.api.models.page import Limit, Offset, Page, Search
from agent.server.api.problems import problems
from agent.server.operations import api_tokens, people
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission, Principal, Role
from agent.server.operations.sessions import list_sessions

router = APIRouter(prefix="/v1")

PeopleAdmin = Annotated[Principal, Depends(Needs(Permission.PEOPLE))]
TokenAdmin = Annotated[Principal, Depends(Needs(Permission.API_TOKENS))]


@router.get("/session", tags=["session"], responses=problems())
async def who_am_i(plane: Plane, asker: Asker) -> SelfShown:
    """Who the credential of this request is, what it may do, and where else this person is logged in."""
    found = await list_sessions(plane, asker.person_id) if asker.person_id is not None else []
    return SelfShown(
        actor=asker.actor,
        role=asker.role,
        scopes=sorted(asker.scopes) if asker.scopes is not None else None,
        sessions=[SessionShown.of(each) for each in found],
    )


@router.get("/people", tags=["people"], responses=problems(422))
async def list_people(
    plane: Plane,
    _asker: PeopleAdmin,
    limit: Limit = 100,
    offset: Offset = 0,
    q: Search = "",
    role: Role | None = None,
) -> Page[PersonShown]:
    """People by name."""
    found = await people.list_people(plane, Paging(limit, offset, q), role=role)
    return Page(items=[PersonShown.of(each) for each in found.items], total=found.total, limit=limit, offset=offset)


@router.post("/people", tags=["people"], status_code=201, responses=problems(409, 422))
async def invite_person(plane: Plane, asker: PeopleAdmin, asked: PersonAsked) -> PersonInvited:
    """Invite somebody; the answer holds the link with which they choose a password, shown this once."""
    invited = await people.invite_person(plane, asker, name=asked.name, role=asked.role)
    return PersonInvited.of(invited, plane.panel_url)


@router.get("/people/{reference:path}", tags=["people"], responses=problems(404, 409, 422))
async def get_person(plane: Plane, _asker: PeopleAdmin, reference: str) -> PersonShown:
    """One person, by id or name."""
    return PersonShown.of(await people.get_person(plane, reference))


@router.patch("/people/{reference:path}", tags=["people"], responses=problems(404, 409, 422))
async def update_person(plane: Plane, asker: PeopleAdmin, reference: str, edited: PersonEdited) -> PersonShown:
    """Change the role."""
    return PersonShown.of(await people.set_role(plane, asker, reference, edited.role))


@router.delete("/people/{reference:path}", tags=["people"], responses=problems(404, 409, 422))
async def delete_person(plane: Plane, asker: PeopleAdmin, reference: str) -> dict[str, str]:
    """Delete somebody, with their sessions; the API tokens that they made are revoked."""
    return {"name": await people.delete_person(plane, asker.actor, reference)}


@router.post("/people/{reference:path}/disable", tags=["people"], responses=problems(404, 409, 422))
async def disable_person(plane: Plane, asker: PeopleAdmin, reference: str) -> PersonShown:
    """Keep somebody out; their sessions end, and the API tokens that they made rest until they are enabled."""
    return PersonShown.of(await people.set_person_enabled(plane, asker, reference, enabled=False))


@router.post("/people/{reference:path}/enable", tags=["people"], responses=problems(404, 409, 422))
async def enable_person(plane: Plane, asker: PeopleAdmin, reference: str) -> PersonShown:
    """Let somebody in again."""
    return PersonShown.of(await people.set_person_enabled(plane, asker, reference, enabled=True))


@router.post("/people/{reference:path}/link", tags=["people"], responses=problems(404, 409, 422))
async def renew_link(plane: Plane, asker: PeopleAdmin, reference: str) -> PersonInvited:
    """A new one-time link, for a lost password."""
    return PersonInvited.of(await people.renew_link(plane, asker, reference), plane.panel_url)


@router.get("/api-tokens", tags=["API tokens"], responses=problems(422))
async def list_api_tokens(
    plane: Plane, _asker: TokenAdmin, limit: Limit = 100, offset: Offset = 0, q: Search = ""
) -> Page[ApiTokenShown]:
    """API tokens, revoked ones too, newest first. None may do more than the person who made it may do now."""
    found = await api_tokens.list_api_tokens(plane, Paging(limit, offset, q))
    return Page(items=[ApiTokenShown.of(each) for each in found.items], total=found.total, limit=limit, offset=offset)


@router.post("/api-tokens", tags=["API tokens"], status_code=201, responses=problems(409, 422))
async def create_api_token(plane: Plane, asker: TokenAdmin, asked: ApiTokenAsked) -> ApiTokenCreated:
    """Mint an API token; its secret is shown this once."""
    return ApiTokenCreated.of(
        await api_tokens.create_api_token(
            plane,
            asker,
            name=asked.name,
            role=asked.role,
            scopes=asked.scopes,
            expires_at=asked.expires_at.timestamp() if asked.expires_at else None,
        ),
        plane.panel_url,
    )


@router.post("/api-tokens/{reference:path}/revoke", tags=["API tokens"], responses=problems(404))
async def revoke_api_token(plane: Plane, asker: TokenAdmin, reference: str) -> ApiTokenShown:
    """Stop an API token at once."""
    return ApiTokenShown.of(await api_tokens.revoke_api_token(plane, asker.actor, reference))
