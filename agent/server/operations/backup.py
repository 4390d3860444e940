"""Back-up and restore: one archive with a whole database, and on request the keys without which it is worth little."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

import agent
from agent.errors import SettingsError, StartError
from agent.server.data_directory import replace_secret_file, work_folder
from agent.server.db.access_tables import ONE_TIME_LINKS, SESSIONS
from agent.server.db.copying import copy_rows
from agent.server.db.database import DATABASE_FILE, open_as_it_is, open_database
from agent.server.db.full_disk import DiskFullError, is_full
from agent.server.db.migrate import make_tables, schema_of
from agent.server.keys import HOST_KEY_FILE, KEY_RING_FILE
from agent.server.operations.archive import FORMAT, DamagedArchiveError, Unpacked, pack, unpack
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError, InvalidError, NoRoomError
from agent.server.operations.key_ring import look_at_keys, seal_anew
from agent.server.vault import KeyRing, Vault

ARCHIVE: Final = "archive.tar.gz"

_NOT_ONE: Final = (
    "This is not a back-up of integration-server, or it is damaged; nothing was changed. Take another one."
)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. ``lost`` connections need their API key again; ``restart``: the host key is another one."""

    rows: int
    lost: int
    restart: bool


@contextlib.asynccontextmanager
async def made_backup(plane: ControlPlane, data_dir: Path, *, with_keys: bool) -> AsyncIterator[Path]:
    """The archive, of one moment, while the server works on; its file goes when the block ends.

    With the keys it opens everything: keep it accordingly. An older schema is left as it is, and is the archive's.
    Raises ConflictError when the keys are wanted and the key ring comes from elsewhere than a file; NoRoomError.
    """
    if with_keys and plane.keys.file is None:
        raise ConflictError(
            "The key ring comes from the environment or a credential: keep a copy of it there, and make the back-up "
            "without keys."
        )
    with _room_in(data_dir, ".backup-") as folder:
        schema = await schema_of(plane.engine)
        keys = {}
        if with_keys:
            keys = {
                KEY_RING_FILE: plane.keys.ring.dump().encode(),
                HOST_KEY_FILE: (data_dir / HOST_KEY_FILE).read_bytes(),
            }
        manifest = {
            "format": FORMAT,
            "version": agent.__version__,
            "schema": schema.present,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "with_keys": with_keys,
        }
        database = await _database_copy(plane, data_dir, folder, str(schema.present))
        archive = folder / ARCHIVE
        await asyncio.to_thread(pack, archive, manifest, database, keys)
        yield archive


async def restore_backup(
    plane: ControlPlane, actor: str, data_dir: Path, content: AsyncIterator[bytes], *, with_keys: bool
) -> Restored:
    """Put everything back as it was, in one transaction; tunnels of agents that are not there any more are cut.

    ``content`` is the archive, in pieces. Sessions and one-time links are not put back, since they may have been
    ended since, and those of now end: everybody logs in again.

    Raises InvalidError, with nothing changed, for what is no whole back-up, or of a newer program; ConflictError when
    the keys are wanted and are not in it; NoRoomError. What the archive's key ring opens is sealed anew with the ring
    of this server in the same transaction: a break at any moment leaves all of the old state, or all of the new.
    """
    with _room_in(data_dir, ".restore-") as folder:
        await _write(folder / ARCHIVE, content)
        try:
            found = await asyncio.to_thread(unpack, folder / ARCHIVE, folder)
        except DamagedArchiveError:
            raise InvalidError(_NOT_ONE) from None
        ring = _ring_of(found) if with_keys else None
        before = plane.live.agent_ids
        rows = await _put_back(plane, actor, folder, found, ring)
    host_key = found.keys.get(HOST_KEY_FILE)
    restart = with_keys and host_key is not None and (data_dir / HOST_KEY_FILE).read_bytes() != host_key
    if restart and host_key is not None:
        replace_secret_file(data_dir / HOST_KEY_FILE, host_key.decode(), "SSH host key")
    if plane.registry is not None:
        for agent_id in before:
            plane.registry.evict_agent(agent_id, "a back-up was restored", kept=plane.live.living_secrets(agent_id))
    return Restored(rows, (await look_at_keys(plane)).lost, restart)


@contextlib.contextmanager
def _room_in(data_dir: Path, prefix: str) -> Iterator[Path]:
    """A folder for the work, which may find no room on the disk."""
    try:
        with work_folder(data_dir, prefix) as folder:
            yield folder
    except (OSError, sqlite3.Error, DiskFullError) as error:
        if not isinstance(error, DiskFullError) and not is_full(error):
            raise
        raise NoRoomError(
            f"There is no room for this on the disk of {data_dir}, which needs about twice the size of the database "
            "for a moment: free some space there, then try again. Nothing was changed."
        ) from None


async def _write(file: Path, content: AsyncIterator[bytes]) -> None:
    with file.open("xb") as opened:
        async for piece in content:
            await asyncio.to_thread(opened.write, piece)


def _ring_of(found: Unpacked) -> KeyRing:
    if not found.manifest["with_keys"]:
        raise ConflictError("This back-up was made without keys: restore it without --with-keys.")
    try:
        return KeyRing.parse(found.keys[KEY_RING_FILE].decode(), "the back-up")
    except (SettingsError, UnicodeDecodeError):
        raise InvalidError(_NOT_ONE) from None


async def _put_back(plane: ControlPlane, actor: str, folder: Path, found: Unpacked, ring: KeyRing | None) -> int:
    """The number of records."""
    manifest = found.manifest
    try:
        source = await open_database(folder)
    except DiskFullError:
        raise
    except StartError:
        raise InvalidError(
            f"The database in this back-up (schema {str(manifest['schema'])[:40]}, made by version "
            f"{str(manifest['version'])[:40]}) is of a newer integration-server, or damaged; nothing was changed. "
            "Restore it with that version, or take another one."
        ) from None
    try:
        async with plane.change(actor) as change:
            counts = await copy_rows(source, change.connection)
            gone = await _end_logins(change.connection)
            if ring is not None:
                await seal_anew(change.connection, Vault(ring), plane.vault)
            await change.audit("backup.restored", str(manifest["made_at"])[:40], with_keys=ring is not None)
    finally:
        await source.dispose()
    return sum(counts.values()) - gone


async def _end_logins(connection: AsyncConnection) -> int:
    """Nobody is logged in by what was put back; how many records that were."""
    gone = 0
    for table in (SESSIONS, ONE_TIME_LINKS):
        gone += (await connection.execute(delete(table))).rowcount
    return gone


async def _database_copy(plane: ControlPlane, data_dir: Path, folder: Path, schema: str) -> Path:
    """The whole database as one file of SQLite."""
    if plane.engine.dialect.name == "sqlite":
        source = data_dir / DATABASE_FILE
    else:
        source = folder / DATABASE_FILE
        engine = await open_as_it_is(folder)
        try:
            tables = await make_tables(engine, schema)
            async with engine.begin() as connection:
                await copy_rows(plane.engine, connection, tables)
        finally:
            await engine.dispose()
    target = folder / "copy"
    await asyncio.to_thread(_copy_sqlite, source, target)
    if source.parent == folder:
        source.unlink()
    return target


def _copy_sqlite(file: Path, target: Path) -> None:
    source, copy = sqlite3.connect(file), sqlite3.connect(target)
    try:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # so that it is one file
    finally:
        source.close()
        copy.close()
