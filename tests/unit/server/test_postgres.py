"""PostgreSQL: who may use a database, what is said when it cannot be used, and whole servers on it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import Connection, text

from agent.errors import SettingsError, StartError
from agent.server.data_directory import DirectoryBusyError, hold_data_directory
from agent.server.db.claim import DatabaseClaim
from agent.server.db.database import open_database, place_of
from agent.server.db.schema import METADATA
from agent.server.settings import ServerSettings
from agent.server.state import opened_state
from tests.kit.control_plane import control_api
from tests.kit.postgres import cluster, empty_database, new_database
from tests.kit.server_process import ServerProcess, run_server_command


async def test_migrations_lead_from_nothing_to_the_tables(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), METADATA))

    engine = await open_database(tmp_path, await empty_database())
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
    assert list(tmp_path.iterdir()) == []


async def test_an_older_schema_is_left_for_a_person_to_migrate(tmp_path: Path) -> None:
    url = await new_database()
    engine = await open_database(tmp_path, url)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    await engine.dispose()
    with pytest.raises(StartError, match="run integration-server database migrate"):
        await open_database(tmp_path, url)


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    url = await empty_database()
    database = url.rpartition("@/")[2].partition("?")[0]
    engine = await open_database(tmp_path, url)
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE alembic_version"))
    await engine.dispose()
    with pytest.raises(StartError, match=f"{database} holds tables of another program"):
        await open_database(tmp_path, url)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:CANARY@h/db",
        "CANARY",
        "postgresql://u:CANARY@h",
        "sqlite:///CANARY",
        "postgresql+asyncpg://h/CANARY",
    ],
)
async def test_an_address_that_is_none_is_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="is not an address") as caught:
        await open_database(tmp_path, url)
    assert "CANARY" not in str(caught.value)


async def test_a_database_that_cannot_be_reached_is_one_sentence_without_the_password(tmp_path: Path) -> None:
    cluster()
    for url in (
        "postgresql://u:CANARY@127.0.0.1:1/shops",
        (await empty_database()).replace("/t", "/missing_t").replace("postgres@", "postgres:CANARY@"),
    ):
        with pytest.raises(StartError) as caught:
            await open_database(tmp_path, url)
        assert "check database_url" in str(caught.value)
        assert "CANARY" not in str(caught.value)


async def test_a_database_serves_one_server_at_a_time(tmp_path: Path) -> None:
    url = await new_database()
    async with control_api(tmp_path / "one", database_url=url):
        with pytest.raises(DirectoryBusyError, match="is using the database"):
            async with control_api(tmp_path / "two", database_url=url):
                pass
    async with control_api(tmp_path / "two", database_url=url) as api:
        assert await api.call("GET", "agents") == (200, [])


async def test_a_claim_that_broke_is_taken_again_or_lost_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.server.db.claim.LOOK_EVERY_S", 0.02)
    url = await new_database()
    first, second = await open_database(tmp_path, url), await open_database(tmp_path, url)
    mine, others = DatabaseClaim(first), DatabaseClaim(second)
    await mine.take()
    lost = asyncio.Event()
    keeping = asyncio.create_task(mine.keep(lost.set))
    cluster().run("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")

    async def is_taken_again() -> bool:
        try:
            await others.take()
        except DirectoryBusyError:
            return True
        await others.release()
        return False

    async with asyncio.timeout(10):
        while not await is_taken_again():  # noqa: ASYNC110 - another session's lock has no event
            await asyncio.sleep(0.05)
    assert not lost.is_set()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await mine.release()
    await first.dispose()
    await second.dispose()


async def test_of_two_servers_that_start_at_once_on_an_empty_database_one_makes_it(tmp_path: Path) -> None:
    url = await empty_database()
    others_turn = asyncio.Event()

    async def start(name: str) -> str:
        settings = ServerSettings(data_dir=tmp_path / name, database_url=SecretStr(url))
        try:
            with hold_data_directory(settings.data_dir):
                async with opened_state(settings, {}):
                    await others_turn.wait()
        except DirectoryBusyError:
            others_turn.set()
            return "turned away"
        return "served"

    async with asyncio.timeout(30):
        assert sorted(await asyncio.gather(start("a"), start("b"))) == ["served", "turned away"]


async def test_what_is_said_of_a_database_has_no_password(tmp_path: Path) -> None:
    engine = await open_database(tmp_path, (await new_database()).replace("postgres@", "postgres:CANARY@"))
    assert "CANARY" not in place_of(engine)
    await engine.dispose()


@pytest.mark.slow
async def test_a_server_and_its_commands_share_a_database(tmp_path: Path) -> None:
    environment = {"INTEGRATION_SERVER_DATABASE_URL": await new_database()}
    async with ServerProcess(tmp_path / "data", environment=environment) as server:
        made = await server.api("post", "agents", name="lyon", public_ssh_address=server.ssh_address)
        assert made["access_token"]
        other = await run_server_command(tmp_path / "other", "agents", "list", environment=environment)
        assert (other.code, "is using the database" in other.err) == (1, True)
    listed = await run_server_command(tmp_path / "other", "agents", "list", "--json", environment=environment)
    assert [agent["name"] for agent in listed.json] == ["lyon"]
