"""The commands backup, restore and database: whole files, nothing left behind, memory that stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.server.db.database import DATABASE_FILE
from agent.server.operations.archive import MANIFEST
from agent.server.operations.failures import ConflictError
from tests.kit.backups import members_of
from tests.kit.control_plane import API_KEY
from tests.kit.old_database import old_database
from tests.kit.postgres import empty_database
from tests.kit.server_cli import ServerCli

MIB = 1024 * 1024
LARGE_BYTES = 24 * MIB
NOBODY = 65534


def test_by_command(cli: ServerCli, tmp_path: Path) -> None:
    key = API_KEY.encode()
    made = ("connections", "create", "--name", "One", "--mode", "cloud", "--store-url", "https://h.example/api/")
    cli(*made, "--api-key-file", "-", stdin=key)
    file = tmp_path / "today.tar.gz"
    assert "It is without keys" in cli("backup", str(file)).out
    assert file.stat().st_mode & 0o777 == 0o600
    assert "--force" in cli.refused(1, "backup", str(file))
    assert "It is without keys" not in cli("backup", str(file), "--with-keys", "--force").out
    cli("connections", "delete", "one", "--yes")
    assert "Restored:" in cli("restore", str(file), "--yes").out
    assert cli("connections", "list", "--json").json[0]["slug"] == "one"
    assert "seals" in cli("keys", "rotate").out
    assert cli("keys", "list", "--json").json == {"current": 2, "sealed": {"1": 0, "2": 1}, "lost": 0}
    assert cli("keys", "retire", "--json").json["sealed"] == {"2": 1}
    file.write_bytes(b"x")
    assert "is not a back-up" in cli.refused(1, "restore", str(file), "--yes")
    assert "schema 0004; the newest is 0004" in cli("database", "status").out
    assert "already" in cli("database", "migrate").out


def test_a_backup_that_fails_leaves_no_file_and_keeps_the_old_one(
    cli: ServerCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.tar.gz"
    cli("backup", str(old))
    content = old.read_bytes()

    @contextlib.asynccontextmanager
    async def broken(*_: object, **__: object) -> AsyncIterator[Path]:
        raise ConflictError("It broke.")
        yield Path()  # type: ignore[unreachable]  # what makes it a generator

    with monkeypatch.context() as patch:
        patch.setattr("agent.server.api.routes.maintenance.made_backup", broken)
        assert "It broke" in cli.refused(1, "backup", str(old), "--force")
        assert "It broke" in cli.refused(1, "backup", str(tmp_path / "new.tar.gz"))
    assert old.read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "old.tar.gz"]


def test_what_is_no_file_is_not_replaced(cli: ServerCli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in cli.refused(1, "backup", str(tmp_path / "pipe"), "--force")
    assert (tmp_path / "pipe").is_fifo()


def test_memory_does_not_grow_with_the_database(cli: ServerCli, tmp_path: Path) -> None:
    cli("connections", "list")
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / DATABASE_FILE)) as database, database:
        database.execute("CREATE TABLE padding (content BLOB)")  # of no interest to a restore, but a part of the file
        for _ in range(LARGE_BYTES // MIB):
            database.execute("INSERT INTO padding VALUES (randomblob(?))", (MIB,))
    cli("database", "status")  # what a first call loads stays
    file = tmp_path / "large.tar.gz"
    tracemalloc.start()
    try:
        for command in (("backup", str(file)), ("restore", str(file), "--yes")):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            assert cli(*command).code == 0
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < LARGE_BYTES / 2, command
    finally:
        tracemalloc.stop()
    assert file.stat().st_size > LARGE_BYTES


def test_what_a_killed_command_has_left_is_removed_by_the_next(cli: ServerCli, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in (".backup-abc", ".restore-abc", ".backup-link"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "large").write_bytes(b"x")
    data.mkdir()
    for name in (".backup-abc", ".restore-abc"):
        (tmp_path / name).rename(data / name)
    (data / ".backup-link").symlink_to(tmp_path / ".backup-link")
    cli("connections", "list")
    assert [path.name for path in data.iterdir() if path.name.startswith((".backup", ".restore"))] == [".backup-link"]
    assert (tmp_path / ".backup-link" / "large").exists()


def test_an_older_postgresql_is_backed_up_before_it_is_migrated(cli: ServerCli, tmp_path: Path) -> None:
    url = asyncio.run(_old_postgres(tmp_path))
    environment = {"INTEGRATION_SERVER_DATABASE_URL": url}
    cli("agents", "list")  # so that there is a key ring
    assert "make a back-up" in cli.refused(1, "connections", "list", environment=environment)
    file = tmp_path / "before.tar.gz"
    assert cli("backup", str(file), environment=environment).code == 0
    assert json.loads(members_of(file.read_bytes())[MANIFEST])["schema"] == "0001"
    assert "schema 0001" in cli("database", "status", environment=environment).out
    assert cli("database", "migrate", environment=environment).code == 0
    cli("agents", "delete", "warehouse", "--yes", environment=environment)
    assert "Restored:" in cli("restore", str(file), "--yes", environment=environment).out
    assert "\nwarehouse " in cli("agents", "list", environment=environment).out


async def _old_postgres(directory: Path) -> str:
    url = await empty_database()
    await old_database(directory, url)
    return url


def test_who_looks_at_a_database_makes_none(cli: ServerCli, tmp_path: Path) -> None:
    assert f"{tmp_path / 'data' / DATABASE_FILE}: nothing is there yet" in cli("database", "status").out
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    assert "nothing is there yet" in cli("database", "status").out
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can work as somebody else")
def test_root_works_as_the_owner_and_writes_the_backup_as_root(cli: ServerCli, tmp_path: Path) -> None:
    data, safe = tmp_path / "data", tmp_path / "safe"
    for directory in (data, safe):
        directory.mkdir(mode=0o700)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o711)
    os.chown(data, NOBODY, NOBODY)
    assert cli("backup", str(safe / "today.tar.gz")).code == 0
    assert {path.stat().st_uid for path in data.iterdir()} == {NOBODY}
    assert (safe / "today.tar.gz").stat().st_uid == 0
    assert (os.geteuid(), os.getegid()) == (0, 0)
