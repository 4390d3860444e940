"""Back-ups in tests: small enough to be held in memory, and altered there."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from sqlalchemy import select

from agent.server.db.tables import CONNECTIONS
from agent.server.operations.backup import Restored, made_backup, restore_backup
from tests.kit.control_plane import ControlApi


async def backup_of(api: ControlApi, *, with_keys: bool) -> bytes:
    """The archive of what ``api`` works on."""
    async with made_backup(api.plane, _directory(api), with_keys=with_keys) as archive:
        return archive.read_bytes()


async def restored(api: ControlApi, archive: bytes, *, with_keys: bool) -> Restored:
    """Put an archive back, which comes in two pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        yield archive[:100]
        yield archive[100:]

    return await restore_backup(api.plane, "tester", _directory(api), pieces(), with_keys=with_keys)


def members_of(archive: bytes) -> dict[str, bytes]:
    """What is in it, by name."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            assert content is not None
            found[entry.name] = content.read()
    return found


def altered(archive: bytes, change: Mapping[str, bytes | None]) -> bytes:
    """The archive with members replaced, added, or left out (None)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as new:
        for name, content in {**members_of(archive), **change}.items():
            if content is not None:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                new.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


async def envelopes(api: ControlApi) -> list[tuple[str, bytes]]:
    """The sealed API keys, by the id of their connection; sorted by slug."""
    async with api.plane.read() as connection:
        found = await connection.execute(select(CONNECTIONS.c.id, CONNECTIONS.c.api_key).order_by(CONNECTIONS.c.slug))
        return [(row[0], row[1]) for row in found]


async def filled(api: ControlApi) -> None:
    """Two connections with API keys, an agent, a client key."""
    await api.agent()
    await api.connection("One")
    await api.connection("Two", api_key="B" * 32)
    await api.created("client-keys", connections=["one"], name="erp")


def _directory(api: ControlApi) -> Path:
    assert api.plane.data_dir is not None
    return api.plane.data_dir
