"""A database that is away for a while, or whose disk is full: sentences, and a gateway that goes on."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from agent.server.data_directory import hold_data_directory
from agent.server.db.database import DATABASE_FILE, open_database
from agent.server.db.full_disk import DiskFullError
from agent.server.keys import KEY_RING_FILE
from agent.server.operations.sessions import SEEN_EVERY_S
from tests.kit.backups import backup_of, restored
from tests.kit.control_plane import ControlApi, control_api
from tests.kit.panel import Panel, let_everybody_in, panel_of
from tests.kit.postgres import cluster, new_database

LONG = "x" * 200


@contextlib.asynccontextmanager
async def served(data_dir: Path, database_url: str | None = None) -> AsyncIterator[tuple[Panel, str]]:
    """A panel with people and one connection; the client key that opens it."""
    async with control_api(data_dir, database_url=database_url) as api, panel_of(api) as panel:
        await let_everybody_in(panel)
        await api.connection()
        yield panel, (await api.created("client-keys", all_connections=True))["key"]


@contextlib.contextmanager
def full_disk(api: ControlApi) -> Any:
    """No page more fits into the file, as on a full disk; the places that are free in it do."""

    def limit(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA max_page_count=1")  # SQLite raises it to what there is
        cursor.close()

    event.listen(api.plane.engine.sync_engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(api.plane.engine.sync_engine, "connect", limit)


async def filled_up(api: ControlApi) -> Any:
    """Register agents until there is no room for one more; the problem."""
    for number in range(500):
        body = {"name": f"agent {number}", "description": LONG, "public_ssh_address": "h.example:22"}
        status, answer = await api.call("POST", "agents", body)
        if status != 201:
            return status, answer
    raise AssertionError("the disk was not full")


async def test_postgresql_that_stops_and_comes_back(tmp_path: Path) -> None:
    async with served(tmp_path / "data", await new_database()) as (panel, key):
        api = panel.api
        with cluster().down():
            for method, path, body in (("GET", "agents", None), ("POST", "agents", {"name": "a"})):
                status, problem = await api.call(method, path, body)
                assert (status, problem["name"]) == (503, "database_unavailable")
                assert "the gateway goes on with what it knows. Try again" in problem["detail"]
            page = await panel.get("/agents", "admin")
            assert (page.status, "The database does not answer" in page.text) == (503, True)
            assert api.admits("shop-lyon", key) is not None
        assert (await api.call("GET", "agents"))[0] == 200
        await api.connection("Another")
        assert api.admits("another", key) is not None
        assert (await panel.get("/agents", "admin")).status == 200


async def test_a_full_disk_is_said_and_everything_is_read_on(tmp_path: Path) -> None:
    async with served(tmp_path / "data") as (panel, key):
        api = panel.api
        await api.plane.engine.dispose()
        with full_disk(api):
            status, problem = await filled_up(api)
            assert (status, problem["name"]) == (503, "storage_full")
            assert "nothing was changed; the gateway goes on with what it knows. Free some space" in problem["detail"]
            before = (await api.call("GET", "agents"))[1]
            form = {"name": "By page", "max_instances": "1", "description": LONG, "public_ssh_address": "h.example:22"}
            page = await panel.post("/agents", form, "admin")
            assert (page.status, "The disk of the database is full" in page.text) == (503, True)
            assert (await api.call("GET", "agents"))[1] == before
            assert api.admits("shop-lyon", key) is not None
        await api.plane.engine.dispose()
        await api.agent("there is room again")


async def test_a_session_that_cannot_be_noted_still_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path / "data") as (panel, _):
        token = await panel.api.created("api-tokens", name="ci", role="viewer")
        now = panel.api.plane.clock()
        monkeypatch.setattr(panel.api.plane, "clock", lambda: now + SEEN_EVERY_S + 1)

        def refuse(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("UPDATE"):
                raise sqlite3.OperationalError("database or disk is full")

        event.listen(panel.api.plane.engine.sync_engine, "before_cursor_execute", refuse)
        assert (await panel.get("/agents", "viewer")).status == 200
        assert (await panel.call("GET", "agents", token["secret"])).status == 200


async def test_a_start_on_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr("agent.server.db.migrate._upgrade", full)
    with pytest.raises(DiskFullError, match=f"The disk of the database {tmp_path / DATABASE_FILE} is full: free some"):
        await open_database(tmp_path)


async def test_no_room_for_a_backup_or_a_restore_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with control_api(tmp_path / "data") as api:
        await api.agent()
        archive = await backup_of(api, with_keys=False)
        for work, method, path, body in (
            ("pack", "GET", "maintenance/backup", None),
            ("unpack", "POST", "maintenance/restore", archive),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(f"agent.server.operations.backup.{work}", _no_room)
                status, problem = await api.call(method, path, body)
            assert (status, problem["name"]) == (503, "storage_full")
            assert f"no room for this on the disk of {tmp_path / 'data'}" in problem["detail"]
        assert list((tmp_path / "data").glob(".*-*")) == []
        assert (await restored(api, archive, with_keys=False)).rows > 0


async def test_a_key_ring_that_finds_no_room_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with control_api(tmp_path / "data") as api:
        before = (tmp_path / "data" / KEY_RING_FILE).read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr("agent.whole_file.os.fsync", _no_room)
            status, problem = await api.call("POST", "maintenance/keys/rotate")
        assert (status, problem["name"]) == (503, "storage_full")
        assert "there is no room on its disk. Free some space there" in problem["detail"]
        assert (tmp_path / "data" / KEY_RING_FILE).read_bytes() == before
        assert (await api.call("POST", "maintenance/keys/rotate"))[0] == 200


def test_a_new_data_directory_on_a_full_disk_is_not_blamed_on_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.server.data_directory.lock_directory", _no_room)
    with (
        pytest.raises(DiskFullError, match=r"there is no room on its disk\. Free some space"),
        hold_data_directory(tmp_path / "new"),
    ):
        pass


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
