"""Back-up and restore, on both kinds of database."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from agent.errors import StartError
from agent.server.data_directory import hold_data_directory
from agent.server.db.database import DATABASE_FILE
from agent.server.db.tables import CONNECTIONS
from agent.server.keys import load_key_ring
from agent.server.operations.archive import MANIFEST, DamagedArchiveError, unpack
from agent.server.operations.failures import ConflictError, InvalidError, OperationError
from agent.server.operations.key_ring import look_at_keys, retire_keys, rotate_keys
from agent.server.operations.one_time_links import redeem_link
from agent.server.operations.people import delete_person, invite_person
from agent.server.operations.principal import Role
from agent.server.operations.sessions import find_session, log_in
from agent.server.settings import ServerSettings
from agent.server.state import opened_state
from tests.kit.backups import altered, backup_of, envelopes, filled, members_of, restored
from tests.kit.control_plane import API_KEY, ControlApi, control_api
from tests.kit.old_database import old_database
from tests.kit.panel import ADMIN, PASSWORD, let_everybody_in, panel_of
from tests.kit.postgres import empty_database, new_database


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("with_keys", [True, False])
async def test_a_backup_brings_everything_back_on_another_machine(
    api: ControlApi, tmp_path: Path, kind: str, with_keys: bool
) -> None:
    await filled(api)
    shown = [await api.call("GET", path) for path in ("agents", "connections", "client-keys")]
    archive = await backup_of(api, with_keys=with_keys)
    url = await new_database() if kind == "postgresql" else None
    async with control_api(tmp_path / "other", database_url=url) as other:
        await other.connection("Goes away")
        done = await restored(other, archive, with_keys=with_keys)
        assert (done.lost, done.restart) == ((0, True) if with_keys else (2, False))
        there = [await other.call("GET", path) for path in ("agents", "connections", "client-keys")]
        assert there == shown
        (first, _) = await envelopes(other)
        route = other.plane.live.route(first[0])
        assert route is not None
        assert (route.api_key, route.enabled) == ((API_KEY, True) if with_keys else ("", False))
        await other.connection("New")  # what counts ids goes on behind those that were restored
        assert len((await other.call("GET", "audit"))[1]) > 0
    async with control_api(tmp_path / "other", database_url=url) as again:
        assert len((await again.call("GET", "connections"))[1]) == 3


async def test_a_restore_that_breaks_before_its_end_changes_nothing(
    api: ControlApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(api)
    archive = await backup_of(api, with_keys=True)
    async with control_api(tmp_path / "other") as other:
        await other.connection("Stays")
        kept = {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir() if "key" in path.name}

        async def broken(*_: object) -> int:
            raise OSError

        with monkeypatch.context() as patch:
            patch.setattr("agent.server.operations.backup.seal_anew", broken)
            with pytest.raises(OSError):
                await restored(other, archive, with_keys=True)
        assert [each["slug"] for each in (await other.call("GET", "connections"))[1]] == ["stays"]
        assert (await look_at_keys(other.plane)).lost == 0
        assert kept == {name: (tmp_path / "other" / name).read_bytes() for name in kept}


async def test_a_restore_with_keys_keeps_the_ring_of_this_server(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    archive = await backup_of(api, with_keys=True)
    await rotate_keys(api.plane, "tester")
    await retire_keys(api.plane, "tester")  # the key that sealed what is in the back-up is gone here
    ring = (tmp_path / "data" / "key-ring").read_bytes()
    without = await restored(api, archive, with_keys=False)
    assert (without.lost, without.restart) == (2, False)
    done = await restored(api, archive, with_keys=True)
    assert (done.lost, done.restart) == (0, False)  # the host key is the same
    assert (tmp_path / "data" / "key-ring").read_bytes() == ring


async def test_no_secret_is_in_a_backup_without_keys(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    archive = gzip.decompress(await backup_of(api, with_keys=False))
    for secret in (
        API_KEY.encode(),
        (tmp_path / "data" / "key-ring").read_bytes().splitlines()[-1],
        b"OPENSSH PRIVATE",
    ):
        assert secret not in archive
    whole = gzip.decompress(await backup_of(api, with_keys=True))
    assert b"OPENSSH PRIVATE" in whole


async def test_what_is_no_whole_backup_changes_nothing(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    data_dir = tmp_path / "data"
    archive = await backup_of(api, with_keys=True)
    manifest = json.dumps({"format": "other/1", "sha256": {}, "with_keys": False}).encode()
    before = await api.call("GET", "connections")
    for broken in (
        b"",
        b"nonsense" * 50,
        archive[: len(archive) // 2],
        altered(archive, {"integration-server.sqlite3": b"x" * 100}),
        altered(archive, {"key-ring": b"1:AAAA"}),
        altered(archive, {MANIFEST: None}),
        altered(archive, {MANIFEST: manifest}),
    ):
        with pytest.raises(InvalidError, match="nothing was changed"):
            await restored(api, broken, with_keys=False)
    for place in range(0, len(archive), max(1, len(archive) // 60)):  # a bit that fell over, anywhere
        flipped = archive[:place] + bytes([archive[place] ^ 0x10]) + archive[place + 1 :]
        (tmp_path / "flipped").write_bytes(flipped)
        with contextlib.suppress(DamagedArchiveError):  # in what nothing depends on, such as a time, nobody sees it
            found = unpack(tmp_path / "flipped", tmp_path)
            members = members_of(archive)
            assert {DATABASE_FILE: found.database.read_bytes(), **found.keys} == {
                name: content for name, content in members.items() if name != MANIFEST
            }
    bare = await backup_of(api, with_keys=False)
    with pytest.raises(ConflictError, match="made without keys"):
        await restored(api, bare, with_keys=True)
    assert await api.call("GET", "connections") == before
    assert [path.name for path in data_dir.iterdir() if path.name.startswith((".backup", ".restore"))] == []


async def test_a_backup_of_a_newer_program_is_refused_by_name(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    before = await api.call("GET", "connections")
    old = await backup_of(api, with_keys=False)
    members = members_of(old)
    manifest = json.loads(members[MANIFEST])
    file = tmp_path / "newer.sqlite3"
    file.write_bytes(members[DATABASE_FILE])
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    manifest["schema"], manifest["version"] = "9999", "77.0"
    manifest["sha256"][DATABASE_FILE] = hashlib.sha256(file.read_bytes()).hexdigest()
    newer = altered(old, {MANIFEST: json.dumps(manifest).encode(), DATABASE_FILE: file.read_bytes()})
    with pytest.raises(InvalidError, match=r"schema 9999, made by version 77\.0.*nothing was changed"):
        await restored(api, newer, with_keys=False)
    assert await api.call("GET", "connections") == before


async def test_members_with_other_names_are_not_looked_at(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    others: dict[str, bytes] = dict.fromkeys(("../outside", "/tmp/../outside", "./key-ring"), b"bad")
    archive = altered(await backup_of(api, with_keys=False), others)
    ring = (tmp_path / "data" / "key-ring").read_bytes()
    done = await restored(api, archive, with_keys=False)
    assert (done.lost, done.restart) == (0, False)
    assert list(tmp_path.rglob("outside")) == []
    assert (tmp_path / "data" / "key-ring").read_bytes() == ring


async def test_a_restore_logs_everybody_out_and_brings_no_one_time_link_back(api: ControlApi) -> None:
    async with panel_of(api) as panel:
        await let_everybody_in(panel)
        link = (await invite_person(api.plane, ADMIN, name="late", role=Role.VIEWER)).link
        archive = await backup_of(api, with_keys=False)
        await delete_person(api.plane, "tester", "late")  # and with it the link
        later = (await log_in(api.plane, "admin", PASSWORD, "127.0.0.1")).cookie_value
        rows = (await restored(api, archive, with_keys=False)).rows
        for cookie in (*panel.cookies.values(), later):
            assert await find_session(api.plane, cookie) is None
        with pytest.raises(OperationError):
            await redeem_link(api.plane, link.token, name="late", password=PASSWORD, peer="127.0.0.1")
        counted = [await api.call("GET", path) for path in ("people", "audit")]
        assert rows == sum(len(found) for _, found in counted) - 1  # the audit line of the restore
        await log_in(api.plane, "admin", PASSWORD, "127.0.0.1")


async def test_an_older_schema_is_backed_up_as_it_is_and_restored_on_a_newer_one(tmp_path: Path) -> None:
    url = await empty_database()
    await old_database(tmp_path, url)
    settings = ServerSettings(data_dir=tmp_path / "data", database_url=SecretStr(url))
    with hold_data_directory(settings.data_dir):
        load_key_ring(settings.data_dir, {}, may_create=True)
        with pytest.raises(StartError, match="make a back-up"):
            async with opened_state(settings, {}):
                pass
        async with opened_state(settings, {}, even_older=True) as state:
            archive = await backup_of(ControlApi(state.control_plane("http://x"), None), with_keys=True)
    assert json.loads(members_of(archive)[MANIFEST])["schema"] == "0001"
    async with control_api(tmp_path / "other") as other:
        await restored(other, archive, with_keys=True)
        assert [each["name"] for each in (await other.call("GET", "agents"))[1]] == ["warehouse"]
        ((_, connection),) = [await other.call("GET", "connections/one")]
        assert connection["methods"] == ["GET"]
        assert connection["resources"] is None  # NULL, not the null of JSON
        async with other.plane.read() as reading:
            found = select(CONNECTIONS.c.slug).where(CONNECTIONS.c.resources.is_(None))
            assert (await reading.execute(found)).scalars().all() == ["one"]
