"""Who may use the control plane: people, their sessions and one-time links, API tokens. Conventions: see `tables`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, Boolean, Column, Double, ForeignKey, LargeBinary, String, Table, text

from agent.server.db.tables import METADATA

PEOPLE: Final = Table(
    "people",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),  # what is typed at the login
    Column("password_hash", String(200)),  # argon2id; NULL until the one-time link was used
    Column("role", String(10), nullable=False),  # admin, editor or viewer
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", Double, nullable=False),
    Column("password_changed_at", Double),
    Column("last_login_at", Double),
)

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("sha256", LargeBinary(32), primary_key=True),  # of the cookie's value
    Column("person_id", String(36), ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf_token", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_seen_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("peer", String(100), nullable=False),
)

ONE_TIME_LINKS: Final = Table(
    "one_time_links",
    METADATA,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("person_id", String(36), ForeignKey("people.id", ondelete="CASCADE"), index=True),  # NULL: the first admin
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)

API_TOKENS: Final = Table(
    "api_tokens",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("role", String(10), nullable=False),
    Column("scopes", JSON(none_as_null=True)),  # NULL = all that the role may do
    # Of people, without a foreign key: a token whose maker is gone must not work, whatever became of the row. NULL: it
    # was made by command, or nobody knows any more.
    Column("maker_id", String(36), index=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
)
