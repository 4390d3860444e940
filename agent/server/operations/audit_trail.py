"""Who did what, and when."""

from __future__ import annotations

from sqlalchemy import RowMapping, select

from agent.server.db.tables import AUDIT
from agent.server.operations.control_plane import ControlPlane
from agent.server.operations.paging import Listed, Paging, contains
from agent.server.operations.records import AuditEntry


async def list_audit(
    plane: ControlPlane,
    paging: Paging,
    *,
    actor: str = "",
    action: str = "",
    subject: str = "",
    since: float | None = None,
    until: float | None = None,
) -> Listed[AuditEntry]:
    """Lines of the audit trail, newest first; ``action`` is a beginning, such as ``agent.``; times are unix seconds."""
    query = select(AUDIT).where(contains(paging.search, AUDIT.c.actor, AUDIT.c.action, AUDIT.c.subject))
    if actor:
        query = query.where(AUDIT.c.actor == actor)
    if action:
        query = query.where(AUDIT.c.action.startswith(action, autoescape=True))
    if subject:
        query = query.where(AUDIT.c.subject == subject)
    if since is not None:
        query = query.where(AUDIT.c.at >= since)
    if until is not None:
        query = query.where(AUDIT.c.at < until)
    async with plane.read() as connection:
        return await paging.run(connection, query.order_by(AUDIT.c.id.desc()), _entry)


def _entry(row: RowMapping) -> AuditEntry:
    return AuditEntry(row["id"], row["at"], row["actor"], row["action"], row["subject"], row["detail"])
