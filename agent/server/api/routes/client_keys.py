"""``/v1/client-keys``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.client_keys import (
    ClientKeyAsked,
    ClientKeyCreated,
    ClientKeyEdited,
    ClientKeyNamed,
    ClientKeyShown,
    KeyState,
)
from agent.server.api.models.page import Limit, Offset, Page, Search
from agent.server.api.problems import problems
from agent.server.operations import client_keys
from agent.server.operations.paging import Paging
from agent.server.operations.principal import Permission, Principal

router = APIRouter(prefix="/v1", tags=["client keys"])

Reader = Annotated[Principal, Depends(Needs(Permission.CLIENT_KEYS_READ))]
Writer = Annotated[Principal, Depends(Needs(Permission.CLIENT_KEYS_WRITE))]
Minter = Annotated[Principal, Depends(Needs(Permission.CLIENT_KEYS_MINT))]


@router.get("/client-keys", responses=problems(404, 422))
async def list_client_keys(
    plane: Plane,
    _asker: Reader,
    limit: Limit = 100,
    offset: Offset = 0,
    q: Search = "",
    state: KeyState | None = None,
    connection: Annotated[str | None, Query(max_length=100, description="slug: only keys that open it")] = None,
) -> Page[ClientKeyShown]:
    """Client keys, revoked ones too, newest first."""
    found = await client_keys.list_client_keys(plane, Paging(limit, offset, q), state=state, connection=connection)
    return Page(items=[ClientKeyShown.of(each) for each in found.items], total=found.total, limit=limit, offset=offset)


@router.post("/client-keys", status_code=201, responses=problems(404, 422))
async def create_client_key(plane: Plane, asker: Minter, asked: ClientKeyAsked) -> ClientKeyCreated:
    """Mint a client key; it is shown this once."""
    return ClientKeyCreated.of(
        await client_keys.create_client_key(
            plane,
            asker.actor,
            name=asked.name,
            connections=asked.connections,
            all_connections=asked.all_connections,
            methods=asked.methods,
            expires_at=asked.expires_at.timestamp() if asked.expires_at else None,
        )
    )


@router.get("/client-keys/{reference:path}", responses=problems(404, 422))
async def get_client_key(plane: Plane, _asker: Reader, reference: str) -> ClientKeyShown:
    """One client key, by id or name, without the key."""
    return ClientKeyShown.of(await client_keys.get_client_key(plane, reference))


@router.patch("/client-keys/{reference:path}", responses=problems(404, 409, 422))
async def update_client_key(plane: Plane, asker: Writer, reference: str, edited: ClientKeyEdited) -> ClientKeyShown:
    """Change what is given; opening more than before needs the right to mint keys."""
    return ClientKeyShown.of(await client_keys.update_client_key(plane, asker, reference, edited.changes()))


@router.delete("/client-keys/{reference:path}", responses=problems(404, 409, 422))
async def delete_client_key(plane: Plane, asker: Writer, reference: str) -> dict[str, str]:
    """Forget a client key that is revoked or expired."""
    return {"name": await client_keys.delete_client_key(plane, asker.actor, reference)}


@router.post("/client-keys/{reference:path}/clone", status_code=201, responses=problems(404, 422))
async def clone_client_key(plane: Plane, asker: Minter, reference: str, named: ClientKeyNamed) -> ClientKeyCreated:
    """A further key that opens the same; it is shown this once."""
    return ClientKeyCreated.of(await client_keys.clone_client_key(plane, asker.actor, reference, name=named.name))


@router.post("/client-keys/{reference:path}/enable", responses=problems(404, 409, 422))
async def enable_client_key(plane: Plane, asker: Writer, reference: str) -> ClientKeyShown:
    """Switch a client key on again."""
    return ClientKeyShown.of(await client_keys.set_client_key_enabled(plane, asker.actor, reference, enabled=True))


@router.post("/client-keys/{reference:path}/disable", responses=problems(404, 409, 422))
async def disable_client_key(plane: Plane, asker: Writer, reference: str) -> ClientKeyShown:
    """Switch a client key off; when the answer comes, the gateway refuses it."""
    return ClientKeyShown.of(await client_keys.set_client_key_enabled(plane, asker.actor, reference, enabled=False))


@router.post("/client-keys/{reference:path}/revoke", responses=problems(404, 422))
async def revoke_client_key(plane: Plane, asker: Writer, reference: str) -> ClientKeyShown:
    """Stop a client key for ever; when the answer comes, the gateway refuses it."""
    return ClientKeyShown.of(await client_keys.revoke_client_key(plane, asker.actor, reference))
