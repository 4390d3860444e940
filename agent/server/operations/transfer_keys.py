"""Client keys in an export and an import: what each opens, never the key itself. An imported one is a new key."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.server.operations.client_keys import NewClientKey, create_client_key, list_client_keys
from agent.server.operations.connections import list_connections
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError, InvalidError
from agent.server.operations.names import clean_name
from agent.server.operations.principal import Principal
from agent.server.operations.records import ClientKey


@dataclass(frozen=True, slots=True)
class KeyWish:
    """A client key as it is in a document: ``connections`` are names, None = every one; ``expires_at`` is unix time."""

    name: str
    connections: tuple[str, ...] | None
    methods: tuple[str, ...] | None
    expires_at: float | None
    enabled: bool


async def exported_keys(plane: ControlPlane) -> list[dict[str, Any]]:
    """The keys that are neither revoked nor expired, by the names of what they open: slugs may change by an import."""
    names = {connection.slug: connection.name for connection in (await list_connections(plane)).items}

    def opened(key: ClientKey) -> list[str] | None:
        return None if key.connections is None else [names[slug] for slug in key.connections if slug in names]

    living = [
        key for key in (await list_client_keys(plane)).items if key.state(plane.clock()) in ("active", "disabled")
    ]
    return [
        {
            "name": key.name,
            "connections": opened(key),
            "methods": key.methods,
            "expires_at": key.expires_at,
            "enabled": key.enabled,
        }
        for key in reversed(living)
    ]


async def import_key(plane: ControlPlane, asker: Principal, wish: KeyWish) -> NewClientKey:
    """Mint a key that opens the same. Raises ConflictError, InvalidError, of which nothing was made."""
    ids = {connection.name: connection.id for connection in (await list_connections(plane)).items}
    check_key(plane, wish, await key_names(plane), ids)
    return await create_client_key(
        plane,
        asker.actor,
        name=wish.name,
        connections=[ids[name] for name in wish.connections or ()],
        all_connections=wish.connections is None,
        methods=wish.methods,
        expires_at=wish.expires_at,
        enabled=wish.enabled,
    )


async def key_names(plane: ControlPlane) -> frozenset[str]:
    """The names of all keys that are not revoked."""
    return frozenset(key.name for key in (await list_client_keys(plane)).items if key.revoked_at is None)


def check_key(
    plane: ControlPlane, wish: KeyWish, taken: Collection[str], there: Collection[str] | Mapping[str, str]
) -> str:
    """The name that it gets. Raises ConflictError for one that is ``taken``, InvalidError for what cannot be made."""
    name = clean_name(wish.name)
    if name in taken:
        raise ConflictError("A client key of this name exists.", field="name")
    missing: Sequence[str] = [each for each in wish.connections or () if each not in there]
    if missing:
        raise InvalidError(f'It opens the connection "{missing[0]}", which is not there: import that, too.')
    if wish.connections == ():
        raise InvalidError("It opens no connection: those that it opened were deleted.")
    if wish.expires_at is not None and wish.expires_at <= plane.clock():
        raise InvalidError("It has expired.", field="expires_at")
    return name
