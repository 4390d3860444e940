"""All tables of the database: whoever needs the whole of it (migrations, copies, back-ups) takes it from here."""

from __future__ import annotations

from agent.server.db import access_tables, watch_tables
from agent.server.db.tables import METADATA

__all__ = ["METADATA", "access_tables", "watch_tables"]
