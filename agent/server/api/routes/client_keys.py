"""``/v1/client-keys``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from agent.server.api.gate import Needs, Plane
from agent.server.api.models.client_keys import ClientKeyAsked, ClientKeyCreated, ClientKeyShown
from agent.server.operations import client_keys
from agent.server.operations.principal import Permission, Principal

router = APIRouter(prefix="/v1", tags=["client keys"])

Minter = Annotated[Principal, Depends(Needs(Permission.CLIENT_KEYS_MINT))]
Writer = Annotated[Principal, Depends(Needs(Permission.CLIENT_KEYS_WRITE))]


@router.get("/client-keys", dependencies=[Depends(Needs(Permission.CLIENT_KEYS_READ))])
async def list_client_keys(plane: Plane) -> list[ClientKeyShown]:
    """Every client key."""
    return [ClientKeyShown.of(found) for found in await client_keys.list_client_keys(plane)]


@router.post("/client-keys", status_code=201)
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


@router.post("/client-keys/{reference:path}/revoke")
async def revoke_client_key(plane: Plane, asker: Writer, reference: str) -> ClientKeyShown:
    """Stop a client key; when the answer comes, the gateway refuses it."""
    return ClientKeyShown.of(await client_keys.revoke_client_key(plane, asker.actor, reference))
