"""Bringing a database to the newest schema, and copying one from SQLite to PostgreSQL."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from agent.errors import StartError
from agent.server.db.access_tables import API_TOKENS, PEOPLE
from agent.server.db.database import DATABASE_FILE, open_as_it_is, open_database
from agent.server.db.migrate import schema_of
from agent.server.db.tables import AGENTS, AUDIT, CONNECTIONS
from tests.kit.control_plane import control_api
from tests.kit.old_database import bring_to, old_database
from tests.kit.postgres import empty_database, new_database
from tests.kit.server_cli import ServerCli


async def test_from_sqlite_to_postgresql(tmp_path: Path, cli: ServerCli) -> None:
    async with control_api(tmp_path / "data") as api:
        await api.agent()
        await api.connection("One")
        await api.connection("Two")
        await api.created("client-keys", connections=["one"], name="erp")
        shown = [await api.call("GET", path) for path in ("agents", "connections", "client-keys", "audit")]
    url = await new_database()
    environment = {"INTEGRATION_SERVER_DATABASE_URL": url}
    assert "database_url" in await asyncio.to_thread(cli.refused, 78, "copy-database")
    done = await asyncio.to_thread(cli, "copy-database", environment=environment)
    assert "connections              2" in done.out
    again = await asyncio.to_thread(cli, "copy-database", environment=environment)
    assert (again.code, "is not empty" in again.err) == (1, True)
    async with control_api(tmp_path / "data", database_url=url) as api:
        assert [await api.call("GET", path) for path in ("agents", "connections", "client-keys", "audit")] == shown
        assert api.admits("one", "x" * 32) is None
        await api.connection("Three")


async def assert_brought_up(data_dir: Path, url: str | None) -> None:
    engine = await open_database(data_dir, url)
    assert (await schema_of(engine)).is_newest
    async with engine.connect() as connection:
        row = (await connection.execute(select(CONNECTIONS))).mappings().one()
        assert (row["slug"], row["headers"], row["test_path"], row["verify_tls"]) == ("one", [], "/api/", True)
        assert row["api_key"] == b"\0"
        assert (await connection.execute(select(AGENTS.c.name))).scalars().all() == ["warehouse"]
    await engine.dispose()


async def test_an_older_file_is_copied_before_it_is_brought_up(tmp_path: Path) -> None:
    await old_database(tmp_path, None)
    await assert_brought_up(tmp_path, None)
    (copy,) = await asyncio.to_thread(lambda: list(tmp_path.glob(f"{DATABASE_FILE}.before-*")))
    assert copy.stat().st_mode & 0o777 == 0o600
    assert b"warehouse" in copy.read_bytes()


async def test_an_older_postgresql_is_brought_up_by_the_command_alone(tmp_path: Path, cli: ServerCli) -> None:
    url = await empty_database()
    await old_database(tmp_path, url)
    with pytest.raises(StartError, match="run integration-server database migrate"):
        await open_database(tmp_path, url)
    environment = {"INTEGRATION_SERVER_DATABASE_URL": url}
    assert "schema 0001" in (await asyncio.to_thread(cli, "database", "status", environment=environment)).out
    done = await asyncio.to_thread(cli, "database", "migrate", environment=environment)
    assert "it had 0001" in done.out
    await assert_brought_up(tmp_path, url)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_makers_of_tokens_are_found_and_keys_in_test_paths_are_not_kept(tmp_path: Path, kind: str) -> None:
    url = await empty_database() if kind == "postgresql" else None
    await old_database(tmp_path, url)
    paths = {
        "/api/": "/api/",
        "/api/products?limit=1&ws_key=CANARY&display=full": "/api/products?limit=1&display=full",
        "/api/products?ws%5Fkey=CANARY": "/api/products",
        "/api/products?WS_KEY=CANARY&limit=1": "/api/products",
        "/api/products?limit=1": "/api/products?limit=1",
    }
    engine = await open_as_it_is(tmp_path, url)
    async with engine.begin() as connection:
        await connection.run_sync(bring_to, "0002")
        (row,) = (await connection.execute(select(CONNECTIONS))).mappings().all()
        for number, path in enumerate(paths):
            copy = {**row, "id": f"c{number}", "name": f"n{number}", "slug": f"s{number}", "test_path": path}
            await connection.execute(insert(CONNECTIONS).values(copy))
        people = [
            {"id": "p1", "name": "anne", "role": "admin", "created_at": 5.0},
            {"id": "p2", "name": "bob", "role": "admin", "created_at": 99.0},
        ]
        await connection.execute(insert(PEOPLE), people)
        for number, actor in enumerate(("person:anne", "person:bob", "local:root")):
            token = {"id": f"t{number}", "name": "t", "sha256": bytes([number]), "role": "admin", "created_at": 10.0}
            await connection.execute(insert(API_TOKENS).values(token))
            line = {"action": "api_token.created", "subject": "t", "detail": {"token_id": token["id"]}}
            await connection.execute(insert(AUDIT).values(at=10.0, actor=actor, **line))
        await connection.run_sync(bring_to, "head")
        makers = (await connection.execute(select(API_TOKENS.c.maker_id).order_by(API_TOKENS.c.id))).scalars().all()
        kept = await connection.execute(select(CONNECTIONS.c.test_path).where(CONNECTIONS.c.id != "c").order_by("id"))
        assert kept.scalars().all() == list(paths.values())
    await engine.dispose()
    assert makers == ["p1", None, None], "an account of that name that is younger than the token did not make it"
