"""Back-up and restore: one archive with a whole database, and on request the keys without which it is worth little."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import agent
from agent.errors import SettingsError, StartError
from agent.server.data_directory import replace_secret_file
from agent.server.db.copying import copy_rows
from agent.server.db.database import DATABASE_FILE, open_database
from agent.server.db.migrate import schema_of
from agent.server.keys import HOST_KEY_FILE, KEY_RING_FILE
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError, InvalidError
from agent.server.operations.key_ring import look_at_keys, seal_anew
from agent.server.vault import KeyRing, Vault

FORMAT: Final = "integration-server-backup/1"
MANIFEST: Final = "manifest.json"
ARCHIVE_MAX_BYTES: Final = 2 * 1024**3

_NOT_ONE: Final = (
    "This is not a back-up of integration-server, or it is damaged; nothing was changed. Take another one."
)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. ``lost`` connections need their API key again; ``restart``: the host key is another one."""

    rows: int
    lost: int
    restart: bool


async def make_backup(plane: ControlPlane, data_dir: Path, *, with_keys: bool) -> bytes:
    """The archive, of one moment, while the server works on. With the keys it opens everything: keep it accordingly.

    Raises ConflictError when the keys are wanted and the key ring comes from elsewhere than a file.
    """
    if with_keys and plane.keys.file is None:
        raise ConflictError(
            "The key ring comes from the environment or a credential: keep a copy of it there, and make the back-up "
            "without keys."
        )
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=".backup-") as folder:
        database = await _database_copy(plane, data_dir, Path(folder))
        members = {DATABASE_FILE: database}
        if with_keys:
            members[KEY_RING_FILE] = plane.keys.ring.dump().encode()
            members[HOST_KEY_FILE] = (data_dir / HOST_KEY_FILE).read_bytes()
        schema = await schema_of(plane.engine)
        manifest = {
            "format": FORMAT,
            "version": agent.__version__,
            "schema": schema.present,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "with_keys": with_keys,
            "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
        }
        return await asyncio.to_thread(_archive, manifest, members)


async def restore_backup(
    plane: ControlPlane, actor: str, data_dir: Path, archive: bytes, *, with_keys: bool
) -> Restored:
    """Put everything back as it was, in one transaction; tunnels of agents that are not there any more are cut.

    Raises InvalidError, with nothing changed, for what is no whole back-up, or of a newer program; ConflictError when
    the keys are wanted and are not in it. What the archive's key ring opens is sealed anew with the ring of this
    server in the same transaction: a break at any moment leaves all of the old state, or all of the new.
    """
    manifest, members = await asyncio.to_thread(_read, archive)
    ring = None
    if with_keys:
        if not manifest["with_keys"]:
            raise ConflictError("This back-up was made without keys: restore it without --with-keys.")
        try:
            ring = KeyRing.parse(members[KEY_RING_FILE].decode(), "the back-up")
        except (SettingsError, UnicodeDecodeError):
            raise InvalidError(_NOT_ONE) from None
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=".restore-") as folder:
        file = Path(folder) / DATABASE_FILE
        await asyncio.to_thread(file.write_bytes, members[DATABASE_FILE])
        try:
            source = await open_database(Path(folder))
        except StartError:
            raise InvalidError(
                f"The database in this back-up (schema {str(manifest['schema'])[:40]}, made by version "
                f"{str(manifest['version'])[:40]}) is of a newer integration-server, or damaged; nothing was changed. "
                "Restore it with that version, or take another one."
            ) from None
        try:
            before = plane.live.agent_ids
            async with plane.change(actor) as change:
                counts = await copy_rows(source, change.connection)
                if ring is not None:
                    await seal_anew(change.connection, Vault(ring), plane.vault)
                await change.audit("backup.restored", str(manifest["made_at"])[:40], with_keys=with_keys)
        finally:
            await source.dispose()
    restart = with_keys and (data_dir / HOST_KEY_FILE).read_bytes() != members[HOST_KEY_FILE]
    if restart:
        replace_secret_file(data_dir / HOST_KEY_FILE, members[HOST_KEY_FILE].decode(), "SSH host key")
    if plane.registry is not None:
        for agent_id in before:
            plane.registry.evict_agent(agent_id, "a back-up was restored", kept=plane.live.living_secrets(agent_id))
    return Restored(sum(counts.values()), (await look_at_keys(plane)).lost, restart)


async def _database_copy(plane: ControlPlane, data_dir: Path, folder: Path) -> bytes:
    if plane.engine.dialect.name == "sqlite":
        target = folder / DATABASE_FILE
        await asyncio.to_thread(_copy_sqlite, data_dir / DATABASE_FILE, target)
    else:
        engine = await open_database(folder)
        try:
            async with engine.begin() as connection:
                await copy_rows(plane.engine, connection)
        finally:
            await engine.dispose()
        target = folder / "copy"
        await asyncio.to_thread(_copy_sqlite, folder / DATABASE_FILE, target)
    return await asyncio.to_thread(target.read_bytes)


def _copy_sqlite(file: Path, target: Path) -> None:
    source, copy = sqlite3.connect(file), sqlite3.connect(target)
    try:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # so that it is one file
    finally:
        source.close()
        copy.close()


def _archive(manifest: Mapping[str, Any], members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in ((MANIFEST, json.dumps(manifest, indent=1).encode()), *members.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o600
            entry.mtime = int(datetime.now(UTC).timestamp())
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _read(archive: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Manifest and members, by the names that are known; whatever else is in the archive is not looked at."""
    members: dict[str, bytes] = {}
    wanted = {MANIFEST, DATABASE_FILE, KEY_RING_FILE, HOST_KEY_FILE}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for entry in tar:
                if entry.name in wanted and entry.isfile() and entry.size <= ARCHIVE_MAX_BYTES:
                    content = tar.extractfile(entry)
                    members[entry.name] = content.read() if content is not None else b""
        manifest = json.loads(members.pop(MANIFEST))
        if manifest["format"] != FORMAT or not {"made_at", "schema", "version"} <= manifest.keys():
            raise ValueError
        hashes = manifest["sha256"]
        needed = {DATABASE_FILE, KEY_RING_FILE, HOST_KEY_FILE} if manifest["with_keys"] else {DATABASE_FILE}
        for name in needed:
            if hashlib.sha256(members[name]).hexdigest() != hashes[name]:
                raise ValueError
    except (tarfile.TarError, zlib.error, OSError, EOFError, AttributeError, KeyError, TypeError, ValueError):
        raise InvalidError(_NOT_ONE) from None
    return manifest, members
