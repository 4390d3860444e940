"""What watching the connections leaves behind: tests and notices. Conventions: see `tables`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, Boolean, Column, Double, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from agent.server.db.tables import METADATA

CONNECTION_TESTS: Final = Table(
    "connection_tests",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("connection_id", String(36), ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("at", Double, nullable=False),
    Column("cause", String(20), nullable=False),  # person, schedule or tunnel
    Column("ok", Boolean, nullable=False),
    Column("verdict", String(40), nullable=False),
    Column("elapsed_ms", Double, nullable=False),
    Column("report", JSON, nullable=False),  # steps, permissions, version; never a secret
    Index("ix_connection_tests_connection_id_at", "connection_id", "at"),
)

NOTICE_TARGETS: Final = Table(
    "notice_targets",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("kind", String(10), nullable=False),  # webhook or email
    Column("address", Text, nullable=False),  # what may be shown: scheme, host and port, or an e-mail address
    Column("url", LargeBinary),  # envelope of a webhook's whole URL; NULL for e-mail
    Column("secret", LargeBinary),  # envelope of the key that signs a webhook's body; NULL for e-mail
    Column("events", JSON(none_as_null=True)),  # NULL = every event
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

NOTICES: Final = Table(
    "notices",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False, index=True),
    Column("event", String(40), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", JSON, nullable=False),  # never a secret
)

NOTICE_DELIVERIES: Final = Table(
    "notice_deliveries",
    METADATA,
    Column("notice_id", Integer, ForeignKey("notices.id", ondelete="CASCADE"), primary_key=True),
    Column("target_id", String(36), ForeignKey("notice_targets.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", Double),  # NULL = delivered, or given up
    Column("delivered_at", Double),
    Column("error", String(300)),  # why the last attempt failed
)
