"""Key ring, back-up and restore, on both kinds of database."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import sqlite3
import tarfile
from pathlib import Path

import pytest
from sqlalchemy import select

from agent.server.db.database import DATABASE_FILE
from agent.server.db.tables import CONNECTIONS
from agent.server.operations.backup import MANIFEST, _read, make_backup, restore_backup
from agent.server.operations.failures import ConflictError, InvalidError
from agent.server.operations.key_ring import look_at_keys, retire_keys, rotate_keys
from agent.server.operations.live_tables import NO_KEY, api_key_place
from agent.server.vault import KeyRing, Vault, key_id_of
from tests.kit.control_plane import API_KEY, ControlApi, control_api
from tests.kit.postgres import new_database
from tests.kit.server_cli import ServerCli


async def envelopes(api: ControlApi) -> list[tuple[str, bytes]]:
    async with api.plane.read() as connection:
        found = await connection.execute(select(CONNECTIONS.c.id, CONNECTIONS.c.api_key).order_by(CONNECTIONS.c.slug))
        return [(row[0], row[1]) for row in found]


async def filled(api: ControlApi) -> None:
    await api.agent()
    await api.connection("One")
    await api.connection("Two", api_key="B" * 32)
    await api.created("client-keys", connections=["one"], name="erp")


async def test_rotating_seals_everything_anew_and_all_opens(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    before = await envelopes(api)
    report = await rotate_keys(api.plane, "tester")
    assert (report.current, report.sealed, report.lost) == (2, {1: 0, 2: 2}, 0)
    after = await envelopes(api)
    assert {key_id_of(envelope) for _, envelope in after} == {2}
    on_disk = KeyRing.parse((tmp_path / "data" / "key-ring").read_text(), "file")
    assert (on_disk.current, set(on_disk.keys)) == (2, {1, 2})
    vault = Vault(on_disk)  # whoever starts now, also with an older copy of the database
    for record_id, envelope in before + after:
        assert vault.open(envelope, api_key_place(record_id)) in (API_KEY, "B" * 32)
    assert (await retire_keys(api.plane, "tester")).sealed == {2: 2}
    assert set(KeyRing.parse((tmp_path / "data" / "key-ring").read_text(), "file").keys) == {2}
    _, trail = await api.call("GET", "audit?action=key_ring.")
    assert [entry["action"] for entry in trail] == ["key_ring.retired", "key_ring.rotated"]


async def test_after_a_break_between_ring_and_envelopes_all_opens(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    api.plane.keys = api.plane.keys.replace(api.plane.keys.ring.with_new_key())  # and here the power fails
    vault = Vault(KeyRing.parse((tmp_path / "data" / "key-ring").read_text(), "file"))
    assert [vault.open(envelope, api_key_place(record_id)) for record_id, envelope in await envelopes(api)] == [
        API_KEY,
        "B" * 32,
    ]


async def test_a_ring_from_elsewhere_is_not_rotated_here(api: ControlApi) -> None:
    await filled(api)
    api.plane.keys = type(api.plane.keys)(api.plane.keys.ring, None)
    before = await envelopes(api)
    with pytest.raises(ConflictError, match="environment or a credential"):
        await rotate_keys(api.plane, "tester")
    assert await envelopes(api) == before


async def test_a_ring_from_elsewhere_that_got_a_new_key_there_seals_with_it(api: ControlApi) -> None:
    await filled(api)
    longer = api.plane.keys.ring.with_new_key()
    api.plane.keys = type(api.plane.keys)(longer, None)
    api.plane.vault = Vault(longer)
    assert (await rotate_keys(api.plane, "tester")).sealed == {1: 0, 2: 2}
    with pytest.raises(ConflictError, match="last line 3:BASE64"):  # everything is sealed with the newest already
        await rotate_keys(api.plane, "tester")


async def test_an_envelope_that_no_key_opens_stops_the_rotation(api: ControlApi) -> None:
    await filled(api)
    api.plane.vault = Vault(KeyRing.generate())
    assert (await look_at_keys(api.plane)).lost == 2
    with pytest.raises(ConflictError, match="do not open with this key ring"):
        await rotate_keys(api.plane, "tester")


async def test_imported_connections_have_nothing_to_seal(api: ControlApi) -> None:
    await filled(api)
    async with api.plane.note() as connection:
        await connection.execute(CONNECTIONS.update().values(api_key=NO_KEY))
    assert (await rotate_keys(api.plane, "tester")).sealed == {1: 0, 2: 0}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("with_keys", [True, False])
async def test_a_backup_brings_everything_back_on_another_machine(
    api: ControlApi, tmp_path: Path, kind: str, with_keys: bool
) -> None:
    await filled(api)
    shown = [await api.call("GET", path) for path in ("agents", "connections", "client-keys")]
    archive = await make_backup(api.plane, tmp_path / "data", with_keys=with_keys)
    url = await new_database() if kind == "postgresql" else None
    async with control_api(tmp_path / "other", database_url=url) as other:
        await other.connection("Goes away")
        done = await restore_backup(other.plane, "tester", tmp_path / "other", archive, with_keys=with_keys)
        assert (done.lost, done.restart) == ((0, True) if with_keys else (2, False))
        restored = [await other.call("GET", path) for path in ("agents", "connections", "client-keys")]
        assert restored == shown
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
    archive = await make_backup(api.plane, tmp_path / "data", with_keys=True)
    async with control_api(tmp_path / "other") as other:
        await other.connection("Stays")
        kept = {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir() if "key" in path.name}

        async def broken(*_: object) -> int:
            raise OSError

        with monkeypatch.context() as patch:
            patch.setattr("agent.server.operations.backup.seal_anew", broken)
            with pytest.raises(OSError):
                await restore_backup(other.plane, "tester", tmp_path / "other", archive, with_keys=True)
        assert [each["slug"] for each in (await other.call("GET", "connections"))[1]] == ["stays"]
        assert (await look_at_keys(other.plane)).lost == 0
        assert kept == {name: (tmp_path / "other" / name).read_bytes() for name in kept}


async def test_a_restore_with_keys_keeps_the_ring_of_this_server(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    archive = await make_backup(api.plane, tmp_path / "data", with_keys=True)
    await rotate_keys(api.plane, "tester")
    await retire_keys(api.plane, "tester")  # the key that sealed what is in the back-up is gone here
    ring = (tmp_path / "data" / "key-ring").read_bytes()
    without = await restore_backup(api.plane, "tester", tmp_path / "data", archive, with_keys=False)
    assert (without.lost, without.restart) == (2, False)
    done = await restore_backup(api.plane, "tester", tmp_path / "data", archive, with_keys=True)
    assert (done.lost, done.restart) == (0, False)  # the host key is the same
    assert (tmp_path / "data" / "key-ring").read_bytes() == ring


async def test_no_secret_is_in_a_backup_without_keys(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    archive = gzip.decompress(await make_backup(api.plane, tmp_path / "data", with_keys=False))
    for secret in (
        API_KEY.encode(),
        (tmp_path / "data" / "key-ring").read_bytes().splitlines()[-1],
        b"OPENSSH PRIVATE",
    ):
        assert secret not in archive
    whole = gzip.decompress(await make_backup(api.plane, tmp_path / "data", with_keys=True))
    assert b"OPENSSH PRIVATE" in whole


def altered(archive: bytes, change: dict[str, bytes | None]) -> bytes:
    """The archive with members replaced or left out."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=packed, mode="w:gz") as new:
        for entry in old:
            found = old.extractfile(entry)
            assert found is not None
            content = change.get(entry.name, found.read())
            if content is not None:
                entry.size = len(content)
                new.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


async def test_what_is_no_whole_backup_changes_nothing(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    data_dir = tmp_path / "data"
    archive = await make_backup(api.plane, data_dir, with_keys=True)
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
            await restore_backup(api.plane, "tester", data_dir, broken, with_keys=False)
    for place in range(0, len(archive), max(1, len(archive) // 60)):  # a bit that fell over, anywhere
        flipped = archive[:place] + bytes([archive[place] ^ 0x10]) + archive[place + 1 :]
        with contextlib.suppress(InvalidError):  # in what nothing depends on, such as a time, nobody sees it
            assert _read(flipped)[1] == _read(archive)[1]
    bare = await make_backup(api.plane, data_dir, with_keys=False)
    with pytest.raises(ConflictError, match="made without keys"):
        await restore_backup(api.plane, "tester", data_dir, bare, with_keys=True)
    assert await api.call("GET", "connections") == before
    assert [path.name for path in data_dir.iterdir() if path.name.startswith((".backup", ".restore"))] == []


async def test_a_backup_of_a_newer_program_is_refused_by_name(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    before = await api.call("GET", "connections")
    old = await make_backup(api.plane, tmp_path / "data", with_keys=False)
    manifest, members = _read(old)
    file = tmp_path / "newer.sqlite3"
    file.write_bytes(members[DATABASE_FILE])
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    manifest["schema"], manifest["version"] = "9999", "77.0"
    manifest["sha256"][DATABASE_FILE] = hashlib.sha256(file.read_bytes()).hexdigest()
    newer = altered(old, {MANIFEST: json.dumps(manifest).encode(), DATABASE_FILE: file.read_bytes()})
    with pytest.raises(InvalidError, match=r"schema 9999, made by version 77\.0.*nothing was changed"):
        await restore_backup(api.plane, "tester", tmp_path / "data", newer, with_keys=False)
    assert await api.call("GET", "connections") == before


async def test_members_with_other_names_are_not_looked_at(api: ControlApi, tmp_path: Path) -> None:
    await filled(api)
    packed = io.BytesIO()
    archive = io.BytesIO(await make_backup(api.plane, tmp_path / "data", with_keys=False))
    with tarfile.open(fileobj=archive) as old, tarfile.open(fileobj=packed, mode="w:gz") as new:
        for name in ("../outside", "/tmp/../outside", "./key-ring"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            new.addfile(entry, io.BytesIO(b"bad"))
        for entry in old:
            new.addfile(entry, old.extractfile(entry))
    ring = (tmp_path / "data" / "key-ring").read_bytes()
    done = await restore_backup(api.plane, "tester", tmp_path / "data", packed.getvalue(), with_keys=False)
    assert (done.lost, done.restart) == (0, False)
    assert list(tmp_path.rglob("outside")) == []
    assert (tmp_path / "data" / "key-ring").read_bytes() == ring


def test_a_backup_that_fails_leaves_no_file_and_keeps_the_old_one(
    cli: ServerCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.tar.gz"
    cli("backup", str(old))
    content = old.read_bytes()
    old.chmod(0o644)

    async def broken(*_: object, **__: object) -> bytes:
        raise ConflictError("It broke.")

    monkeypatch.setattr("agent.server.api.routes.maintenance.make_backup", broken)
    assert "It broke" in cli.refused(1, "backup", str(old), "--force")
    assert "It broke" in cli.refused(1, "backup", str(tmp_path / "new.tar.gz"))
    assert (old.read_bytes(), (tmp_path / "new.tar.gz").exists()) == (content, False)
    monkeypatch.undo()


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
