"""Looking at connections: lists, and one of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.tables import AGENTS, CLIENT_KEY_CONNECTIONS, CLIENT_KEYS, CONNECTIONS
from agent.server.operations.connection_extras import needs_agent_setting
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import NotFoundError
from agent.server.operations.live_tables import NO_KEY
from agent.server.operations.paging import Listed, Paging, contains
from agent.server.operations.records import Connection, store_of


async def list_connections(
    plane: ControlPlane,
    paging: Paging | None = None,
    *,
    mode: str | None = None,
    agent: str | None = None,
    enabled: bool | None = None,
    needs_key: bool | None = None,
) -> Listed[Connection]:
    """Connections by name; of one mode, of one agent (id or name), that are on or off, that need their key or not."""
    paging = paging or Paging()
    base = await plane.gateway_url()
    columns = (CONNECTIONS.c.name, CONNECTIONS.c.slug, CONNECTIONS.c.host, AGENTS.c.name)
    query = _query().where(contains(paging.search, *columns))
    if mode is not None:
        query = query.where(CONNECTIONS.c.mode == mode)
    if agent is not None:
        query = query.where((CONNECTIONS.c.agent_id == agent) | (AGENTS.c.name == agent))
    if enabled is not None:
        query = query.where(CONNECTIONS.c.enabled == enabled)
    if needs_key is not None:
        query = query.where((CONNECTIONS.c.api_key == NO_KEY) if needs_key else (CONNECTIONS.c.api_key != NO_KEY))
    async with plane.read() as connection:
        keys = await _key_counts(connection)
        ordered = query.order_by(func.lower(CONNECTIONS.c.name), CONNECTIONS.c.id)
        return await paging.run(connection, ordered, lambda row: _connection(row, base, keys))


async def get_connection(plane: ControlPlane, reference: str) -> Connection:
    """The connection with this slug, id or name. Raises NotFoundError."""
    base = await plane.gateway_url()
    async with plane.read() as connection:
        return _connection(await find_connection(connection, reference), base, await _key_counts(connection))


async def find_connection(connection: AsyncConnection, reference: str) -> RowMapping:
    """The row of a slug, an id or a name, in this order. Raises NotFoundError."""
    columns = (CONNECTIONS.c.slug, CONNECTIONS.c.id, CONNECTIONS.c.name)
    # PostgreSQL refuses a NUL where SQLite finds nothing.
    for column in columns if reference.isprintable() else ():
        row = (await connection.execute(_query().where(column == reference))).mappings().one_or_none()
        if row is not None:
            return row
    raise NotFoundError(
        "No connection has this slug, id or name: integration-server connections list shows those there are."
    )


def _query() -> Any:  # noqa: ANN401 - a Select of many columns has no shorter type
    return select(CONNECTIONS, AGENTS.c.name.label("agent_name")).join(
        AGENTS, AGENTS.c.id == CONNECTIONS.c.agent_id, isouter=True
    )


async def _key_counts(connection: AsyncConnection) -> dict[str | None, int]:
    """Living client keys by connection id; None: those that open every connection."""
    living = CLIENT_KEYS.c.revoked_at.is_(None)
    everywhere = select(func.count()).where(living, CLIENT_KEYS.c.all_connections)
    some = (
        select(CLIENT_KEY_CONNECTIONS.c.connection_id, func.count())
        .join(CLIENT_KEYS, CLIENT_KEYS.c.id == CLIENT_KEY_CONNECTIONS.c.client_key_id)
        .where(living)
        .group_by(CLIENT_KEY_CONNECTIONS.c.connection_id)
    )
    counts: dict[str | None, int] = {row[0]: row[1] for row in await connection.execute(some)}
    return counts | {None: (await connection.execute(everywhere)).scalar_one()}


def _connection(row: RowMapping, gateway_url: str, keys: dict[str | None, int]) -> Connection:
    headers = tuple((name, value) for name, value in row["headers"])
    return Connection(
        id=row["id"],
        name=row["name"],
        slug=row["slug"],
        mode=row["mode"],
        agent_id=row["agent_id"],
        agent_name=row["agent_name"],
        store=store_of(row),
        shop_host=row["shop_host"],
        key_in=row["key_in"],
        methods=tuple(row["methods"]),
        resources=tuple(row["resources"]) if row["resources"] is not None else None,
        concurrency=row["concurrency"],
        headers=headers,
        response_timeout_s=row["response_timeout_s"],
        test_path=row["test_path"],
        test_method=row["test_method"],
        ca_pem=row["ca_pem"],
        verify_tls=bool(row["verify_tls"]),
        enabled=bool(row["enabled"]),
        needs_key=row["api_key"] == NO_KEY,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        gateway_url=f"{gateway_url}/{row['slug']}",
        client_keys=keys.get(row["id"], 0) + keys[None],
        warnings=_warnings(row, headers),
    )


def _warnings(row: RowMapping, headers: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    found = []
    asked = needs_agent_setting(headers)
    if row["mode"] == "on-premise" and asked:
        found.append(
            f"The agent passes on {', '.join(asked)} only when forward_fields under the store in its agent.toml "
            "lists them."
        )
    if not row["verify_tls"]:
        found.append("The store's certificate is not checked: anyone on the way can read and change everything.")
    if row["scheme"] == "http" and row["mode"] == "cloud":
        found.append("The store is asked over plain http: the API key travels readable through the internet.")
    if row["api_key"] == NO_KEY:
        found.append("The connection was imported without its API key: edit it and enter the key.")
    return tuple(found)
