"""The keys that open the sealed columns: rotation, and the end of old ones. Whatever breaks in between, all opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.errors import StartError
from agent.server.db.full_disk import DiskFullError
from agent.server.db.tables import CONNECTIONS
from agent.server.db.watch_tables import NOTICE_TARGETS
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.failures import ConflictError, NoRoomError
from agent.server.vault import EnvelopeError, KeyRing, Place, Vault, key_id_of

SEALED: Final[tuple[tuple[Table, Column[bytes]], ...]] = (
    (CONNECTIONS, CONNECTIONS.c.api_key),
    (NOTICE_TARGETS, NOTICE_TARGETS.c.url),
    (NOTICE_TARGETS, NOTICE_TARGETS.c.secret),
)
"""Every column that holds envelopes; a table of them has a column ``id``."""


@dataclass(frozen=True, slots=True)
class KeyRingReport:
    """``sealed`` is how many envelopes each key of the ring has sealed; ``lost``: those that no key of it opens."""

    current: int
    sealed: dict[int, int]
    lost: int


async def look_at_keys(plane: ControlPlane) -> KeyRingReport:
    """What the ring opens."""
    counts = dict.fromkeys(sorted(plane.keys.ring.keys), 0)
    lost = 0
    async with plane.read() as connection:
        for table, column in SEALED:
            for record_id, envelope in await connection.execute(select(table.c.id, column)):
                if not envelope:
                    continue
                try:
                    plane.vault.open(envelope, Place(table.name, record_id, column.name))
                    counts[key_id_of(envelope)] += 1
                except EnvelopeError:
                    lost += 1
    return KeyRingReport(plane.keys.ring.current, counts, lost)


async def rotate_keys(plane: ControlPlane, actor: str) -> KeyRingReport:
    """Add a key to the ring, then seal everything anew with it. The old keys stay in the ring until they are retired.

    The ring is written before anything is sealed with the new key. A ring of the environment or a credential gets no
    new key here; when somebody has added one there, everything is sealed anew with that. Raises ConflictError where a
    key is needed and cannot be added, and while something is sealed that no key opens.
    """
    report = await look_at_keys(plane)
    if report.lost:
        raise ConflictError(
            "Some API keys of connections, or webhooks of notice targets, do not open with this key ring: restore the "
            "ring from its back-up copy, or enter them again, before it is changed."
        )
    waiting = sum(number for key_id, number in report.sealed.items() if key_id != report.current)
    if plane.keys.file is not None or not waiting:
        _write_ring(plane, plane.keys.ring.with_new_key())
    async with plane.change(actor) as change:
        number = await seal_anew(change.connection, plane.vault, plane.vault)
        await change.audit("key_ring.rotated", f"key {plane.keys.ring.current}", sealed=number)
    return await look_at_keys(plane)


def _write_ring(plane: ControlPlane, ring: KeyRing) -> None:
    """Raises ConflictError where the ring cannot be written, NoRoomError on a full disk; the old one then stays."""
    try:
        plane.keys = plane.keys.replace(ring)
    except DiskFullError as error:
        raise NoRoomError(str(error)) from None
    except StartError as error:
        raise ConflictError(str(error)) from None
    plane.vault = Vault(ring)


async def seal_anew(connection: AsyncConnection, opening: Vault, sealing: Vault) -> int:
    """Seal with ``sealing`` whatever ``opening`` opens, and leave the rest as it is; how many were sealed.

    The transaction is the caller's.
    """
    number = 0
    for table, column in SEALED:
        for record_id, envelope in (await connection.execute(select(table.c.id, column))).all():
            if not envelope:
                continue
            place = Place(table.name, record_id, column.name)
            try:
                secret = opening.open(envelope, place)
            except EnvelopeError:
                continue
            row = update(table).where(table.c.id == record_id)
            await connection.execute(row.values({column.name: sealing.seal(secret, place)}))
            number += 1
    return number


async def retire_keys(plane: ControlPlane, actor: str) -> KeyRingReport:
    """Drop the keys that have sealed nothing. Raises ConflictError where the ring cannot be written."""
    report = await look_at_keys(plane)
    kept = plane.keys.ring.only([key_id for key_id, number in report.sealed.items() if number])
    gone = sorted(set(plane.keys.ring.keys) - set(kept.keys))
    if gone:
        _write_ring(plane, kept)
        async with plane.note_change(actor) as change:
            await change.audit("key_ring.retired", ", ".join(f"key {key_id}" for key_id in gone))
    return await look_at_keys(plane)
