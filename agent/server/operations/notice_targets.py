"""Notice targets: the webhooks and e-mail addresses that are told what the server notices by itself."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.server.db.watch_tables import NOTICE_DELIVERIES, NOTICE_TARGETS
from agent.server.operations.control_plane import Change, ControlPlane
from agent.server.operations.failures import ConflictError, InvalidError, NotFoundError
from agent.server.operations.names import clean_name
from agent.server.operations.notice_message import TEST_EVENT, NotDeliveredError, NoticeMessage, TargetKind
from agent.server.operations.notice_queue import end_waiting, hurry_waiting
from agent.server.operations.notice_vault import address_columns, destination_of, new_secret, seal_secret
from agent.server.operations.notices import EVENTS
from agent.server.operations.paging import Listed, Paging, contains
from agent.server.operations.principal import Permission, Principal

TARGETS_MAX: Final = 20
_SWITCHED_OFF: Final = "Not sent: the target was switched off."


@dataclass(frozen=True, slots=True)
class NoticeTarget:
    """One target; times are unix seconds, ``events`` None = every event.

    ``address_shown`` is an e-mail address, or scheme, host and port of a webhook: the rest of its URL is never shown.
    ``delivered_at`` is the last success, ``error`` why the newest attempt failed (None when it did not), ``waiting``
    how many notices are still to be delivered.
    """

    id: str
    name: str
    kind: TargetKind
    address_shown: str
    events: tuple[str, ...] | None
    enabled: bool
    created_at: float
    updated_at: float
    delivered_at: float | None = None
    error: str | None = None
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class TargetWish:
    """A target that is to be made; ``address`` is an https URL or an e-mail address, as ``kind`` says."""

    name: str
    kind: TargetKind
    address: str = field(repr=False)
    events: Collection[str] | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class TargetTest:
    """What came of a test notice; ``error`` is one sentence, None when it was taken."""

    error: str | None
    elapsed_ms: float

    @property
    def ok(self) -> bool:
        """True when the receiver took it."""
        return self.error is None


async def list_targets(plane: ControlPlane, paging: Paging | None = None) -> Listed[NoticeTarget]:
    """Targets by name; searched in name and shown address."""
    paging = paging or Paging()
    found = contains(paging.search, NOTICE_TARGETS.c.name, NOTICE_TARGETS.c.address)
    async with plane.read() as connection:
        return await paging.run(connection, _shown(found).order_by(NOTICE_TARGETS.c.name), _target)


async def get_target(plane: ControlPlane, reference: str) -> NoticeTarget:
    """The target with this id or name. Raises NotFoundError."""
    async with plane.read() as connection:
        row = await _find(connection, reference)
        shown = (await connection.execute(_shown(NOTICE_TARGETS.c.id == row["id"]))).mappings().one()
    return _target(shown)


async def create_target(plane: ControlPlane, asker: Principal, wish: TargetWish) -> tuple[NoticeTarget, str | None]:
    """Make a target; with it the secret that signs a webhook's bodies, shown once (None for e-mail).

    Raises ForbiddenError, InvalidError for an address or event that is none, ConflictError for a name in use, a 21st
    target, or e-mail while no mail server is set.
    """
    asker.require(Permission.NOTICES_WRITE)
    name = clean_name(wish.name)
    events = _clean_events(wish.events)
    target_id = str(uuid.uuid4())
    _require_mail(plane, wish.kind)
    columns = address_columns(plane.vault, target_id, wish.kind, wish.address)
    secret = new_secret() if wish.kind == "webhook" else None
    async with plane.note_change(asker.actor) as change:
        count = select(func.count()).select_from(NOTICE_TARGETS)
        if (await change.connection.execute(count)).scalar_one() >= TARGETS_MAX:
            raise ConflictError(f"There are {TARGETS_MAX} notice targets, the most there can be: delete one first.")
        await _refuse_double(change, name)
        await change.connection.execute(
            insert(NOTICE_TARGETS).values(
                id=target_id,
                name=name,
                kind=wish.kind,
                secret=seal_secret(plane.vault, target_id, secret) if secret is not None else None,
                events=events,
                enabled=wish.enabled,
                created_at=change.now,
                updated_at=change.now,
                **columns,
            )
        )
        await _audit(change, "created", target_id, name, kind=wish.kind, address=columns["address"], events=events)
    return await get_target(plane, target_id), secret


async def change_target(
    plane: ControlPlane, asker: Principal, reference: str, changes: Mapping[str, Any]
) -> NoticeTarget:
    """Change ``name``, ``address``, ``events``, ``enabled``; what is left out stays, the kind always.

    Switching off ends what waits; a new address is tried at once with what waits. Raises as ``create_target``, and
    NotFoundError.
    """
    asker.require(Permission.NOTICES_WRITE)
    async with plane.note_change(asker.actor) as change:
        row = await _find(change.connection, reference)
        columns: dict[str, Any] = {}
        if "name" in changes:
            columns["name"] = clean_name(changes["name"])
            await _refuse_double(change, columns["name"], but=row["id"])
        if "events" in changes:
            columns["events"] = _clean_events(changes["events"])
        if "enabled" in changes:
            columns["enabled"] = bool(changes["enabled"])
        if "address" in changes:
            columns |= address_columns(plane.vault, row["id"], row["kind"], changes["address"])
        if "address" in changes or (columns.get("enabled") and not row["enabled"]):
            _require_mail(plane, row["kind"])
        values = columns | {"updated_at": change.now}
        await change.connection.execute(update(NOTICE_TARGETS).where(NOTICE_TARGETS.c.id == row["id"]).values(values))
        if columns.get("enabled") is False:
            await end_waiting(change.connection, row["id"], _SWITCHED_OFF)
        elif "address" in columns:
            await hurry_waiting(change.connection, row["id"], change.now)
        told = {name: value for name, value in columns.items() if name in ("address", "events", "enabled")}
        await _audit(change, "updated", row["id"], columns.get("name", row["name"]), **told)
    plane.deliveries_due.set()
    return await get_target(plane, row["id"])


async def rotate_secret(plane: ControlPlane, asker: Principal, reference: str) -> tuple[NoticeTarget, str]:
    """A new secret of a webhook, shown once; the old one ends at once.

    Raises NotFoundError, InvalidError for e-mail.
    """
    asker.require(Permission.NOTICES_WRITE)
    secret = new_secret()
    async with plane.note_change(asker.actor) as change:
        row = await _find(change.connection, reference)
        if row["kind"] != "webhook":
            raise InvalidError(f'The target "{row["name"]}" is an e-mail address: only webhooks have a signing secret.')
        sealed = seal_secret(plane.vault, row["id"], secret)
        mine = update(NOTICE_TARGETS).where(NOTICE_TARGETS.c.id == row["id"])
        await change.connection.execute(mine.values(secret=sealed, updated_at=change.now))
        await _audit(change, "secret_rotated", row["id"], row["name"])
    plane.deliveries_due.set()
    return await get_target(plane, row["id"]), secret


async def delete_target(plane: ControlPlane, asker: Principal, reference: str) -> str:
    """Forget a target and what waits for it; its name is returned. Raises NotFoundError."""
    asker.require(Permission.NOTICES_WRITE)
    async with plane.note_change(asker.actor) as change:
        row = await _find(change.connection, reference)
        await change.connection.execute(delete(NOTICE_TARGETS).where(NOTICE_TARGETS.c.id == row["id"]))
        await _audit(change, "deleted", row["id"], row["name"])
    plane.deliveries_due.set()
    return str(row["name"])


async def test_target(plane: ControlPlane, asker: Principal, reference: str) -> TargetTest:
    """Send a test notice now, also to a target that is switched off; a good one hurries what waits for the target.

    It is no notice: it is not listed, and not tried again. Raises NotFoundError, ConflictError when no server runs.
    """
    asker.require(Permission.NOTICES_WRITE)
    async with plane.read() as connection:
        row = await _find(connection, reference)
    if plane.send_notice is None:
        raise ConflictError("No server is running on this data directory: start it, it sends the notices.")
    message = NoticeMessage(
        key=f"test_{uuid.uuid4().hex}",
        id=0,
        event=TEST_EVENT,
        at=plane.clock(),
        subject=f"notice-target/{row['id']}",
        sentence=f'This is a test of the notice target "{row["name"]}", asked for by {asker.actor}. All is well.',
        detail={"name": row["name"]},
    )
    began = time.monotonic()
    error: str | None = None
    try:
        await plane.send_notice(destination_of(plane.vault, row), message)
    except NotDeliveredError as failure:
        error = str(failure)
    outcome = TargetTest(error, round(1000 * (time.monotonic() - began), 1))
    async with plane.note_change(asker.actor) as change:
        if outcome.ok:
            await hurry_waiting(change.connection, row["id"], change.now)
        await _audit(change, "tested", row["id"], row["name"], ok=outcome.ok, error=error)
    plane.deliveries_due.set()
    return outcome


async def _find(connection: AsyncConnection, reference: str) -> RowMapping:
    query = select(NOTICE_TARGETS).where((NOTICE_TARGETS.c.id == reference) | (NOTICE_TARGETS.c.name == reference))
    rows = (await connection.execute(query)).mappings().all()
    found = next((row for row in rows if row["id"] == reference), rows[0] if rows else None)
    if found is None:
        raise NotFoundError(
            "No notice target has this id or name: integration-server notices targets list shows those there are."
        )
    return found


async def _refuse_double(change: Change, name: str, but: str | None = None) -> None:
    query = select(NOTICE_TARGETS.c.id).where(NOTICE_TARGETS.c.name == name)
    if (await change.connection.execute(query)).scalar_one_or_none() not in (None, but):
        raise ConflictError(f'A notice target named "{name}" exists: choose another name.', field="name")


async def _audit(change: Change, what: str, target_id: str, name: str, **detail: object) -> None:
    await change.audit(f"notice_target.{what}", name, target_id=target_id, **detail)


def _require_mail(plane: ControlPlane, kind: TargetKind) -> None:
    if kind == "email" and not plane.facts.can_mail:
        raise ConflictError(
            "This server does not know how to send mail: set smtp.host and smtp.sender in its settings, and restart it."
        )


def _clean_events(events: Collection[str] | None) -> list[str] | None:
    if events is None:
        return None
    unknown = set(events) - set(EVENTS)
    if unknown or not events:
        raise InvalidError(
            f"Events are {', '.join(EVENTS)}; " + ("one that was given is not." if unknown else "none was given."),
            field="events",
        )
    return [event for event in EVENTS if event in set(events)]


def _shown(which: ColumnElement[bool]) -> Select[Any]:
    """Targets, and what became of their deliveries; the newest attempt is that of the newest notice, since in order."""
    deliveries = NOTICE_DELIVERIES
    mine = deliveries.c.target_id == NOTICE_TARGETS.c.id
    error = select(deliveries.c.error).where(mine, deliveries.c.attempts > 0)
    return select(
        NOTICE_TARGETS,
        select(func.max(deliveries.c.delivered_at)).where(mine).scalar_subquery().label("delivered_at"),
        error.order_by(deliveries.c.notice_id.desc()).limit(1).scalar_subquery().label("error"),
        select(func.count())
        .select_from(deliveries)
        .where(mine, deliveries.c.next_at.is_not(None))
        .scalar_subquery()
        .label("waiting"),
    ).where(which)


def _target(row: RowMapping) -> NoticeTarget:
    return NoticeTarget(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        address_shown=row["address"],
        events=tuple(row["events"]) if row["events"] is not None else None,
        enabled=bool(row["enabled"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        delivered_at=row["delivered_at"],
        error=row["error"],
        waiting=row["waiting"],
    )
