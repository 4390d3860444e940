"""The tables, as SQLAlchemy Core sees them; the migrations beside this file make them.

UUIDs are text, times are seconds since 1970 in UTC (columns named ``_at``), lists are JSON: nothing here is
particular to SQLite.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

AGENTS: Final = Table(
    "agents",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("max_instances", Integer, nullable=False, server_default="1"),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),  # off: turned away, the token stays
    Column("plain_store", JSON(none_as_null=True)),  # the one store of a --plain-ssh agent, else NULL
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("last_heartbeat_at", Double),
    Column("version", String(40)),  # as the agent said in its last hello
    Column("host", String(255)),  # as the agent said in its last hello
    Column("peer", String(100)),  # the address from which the last tunnel came
    Column("grants", JSON(none_as_null=True)),  # stores, methods and resources of the last hello
    # The name of a revoked agent may be given again.
    Index(
        "uq_agents_name",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)

AGENT_SECRETS: Final = Table(
    "agent_secrets",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("agent_id", String(36), ForeignKey("agents.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),  # end of the overlap after a rotation, else NULL
)

CONNECTIONS: Final = Table(
    "connections",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("slug", String(60), nullable=False, unique=True),
    Column("mode", String(20), nullable=False),  # cloud or on-premise
    Column("agent_id", String(36), ForeignKey("agents.id"), index=True),
    Column("scheme", String(5), nullable=False),
    Column("host", String(255), nullable=False),
    Column("port", Integer, nullable=False),
    Column("base_path", Text, nullable=False),
    Column("virtual_uri", Text, nullable=False, server_default=""),
    Column("id_shop", String(20), nullable=False, server_default=""),
    Column("shop_host", String(300)),  # Host field where it differs from the URL
    Column("api_key", LargeBinary, nullable=False),  # AES-256-GCM envelope bound to this row
    Column("key_in", String(10), nullable=False, server_default="basic"),  # basic or ws_key
    Column("methods", JSON, nullable=False),
    Column("resources", JSON(none_as_null=True)),  # NULL = every resource
    Column("concurrency", Integer, nullable=False, server_default="8"),
    Column(
        "headers", JSON, nullable=False, server_default=text("'[]'")
    ),  # [name, value] pairs, sent with every request
    Column("response_timeout_s", Double),  # NULL = as the server's settings say
    Column("test_path", String(300), nullable=False, server_default="/api/"),
    Column("test_method", String(4), nullable=False, server_default="GET"),
    Column("ca_pem", Text),  # private CA of a Cloud store; On-premise the agent has it
    Column("verify_tls", Boolean, nullable=False, server_default=text("true")),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

RETIRED_SLUGS: Final = Table(
    "retired_slugs",
    METADATA,
    Column("slug", String(60), primary_key=True),
    Column("connection_id", String(36), nullable=False),
    Column("retired_at", Double, nullable=False),
)

CLIENT_KEYS: Final = Table(
    "client_keys",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("all_connections", Boolean, nullable=False, server_default=text("false")),
    Column("methods", JSON(none_as_null=True)),  # NULL = whatever the connection allows
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
)

CLIENT_KEY_CONNECTIONS: Final = Table(
    "client_key_connections",
    METADATA,
    Column("client_key_id", String(36), ForeignKey("client_keys.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "connection_id",
        String(36),
        ForeignKey("connections.id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
)

AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False, index=True),
    Column("actor", String(100), nullable=False),
    Column("action", String(60), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("detail", JSON, nullable=False),  # never a secret
)

SERVER_SETTINGS: Final = Table(
    "server_settings",
    METADATA,
    Column("name", String(60), primary_key=True, comment="what was asked for once, such as public_ssh_address"),
    Column("value", Text, nullable=False),
)
