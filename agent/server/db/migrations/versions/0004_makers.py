"""API tokens know who made them; a test path holds no API key."""

import sqlalchemy as sa
from alembic import op

from agent.php_query import has_parameter, without_parameter

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TOKENS = sa.table("api_tokens", sa.column("id"), sa.column("maker_id"))
_CONNECTIONS = sa.table("connections", sa.column("id"), sa.column("test_path"))


def upgrade() -> None:
    op.add_column("api_tokens", sa.Column("maker_id", sa.String(length=36), nullable=True))
    op.create_index(op.f("ix_api_tokens_maker_id"), "api_tokens", ["maker_id"], unique=False)
    connection = op.get_bind()
    _name_makers(connection)
    _clean_test_paths(connection)


def _name_makers(connection: sa.Connection) -> None:
    """As the audit trail says. Of a person who is gone the token stays nobody's: it could be in use for long."""
    created = sa.text(
        "SELECT audit.detail AS detail, people.id AS person_id FROM audit"
        " JOIN people ON audit.actor = 'person:' || people.name AND people.created_at <= audit.at"
        " WHERE audit.action = 'api_token.created'"
    ).columns(detail=sa.JSON)
    for row in connection.execute(created).all():
        own = sa.update(_TOKENS).where(_TOKENS.c.id == row.detail["token_id"])
        connection.execute(own.values(maker_id=row.person_id))


def _clean_test_paths(connection: sa.Connection) -> None:
    """Earlier versions let a person write the key there, and showed it with the connection."""
    for row in connection.execute(sa.select(_CONNECTIONS)).all():
        path, _, query = row.test_path.partition("?")
        if not has_parameter(query.lower().encode(), b"ws_key"):
            continue
        kept = without_parameter(row.test_path.encode(), b"ws_key").decode()
        if has_parameter(kept.partition("?")[2].lower().encode(), b"ws_key"):  # WS_KEY, say: nothing is kept of it
            kept = path
        connection.execute(sa.update(_CONNECTIONS).where(_CONNECTIONS.c.id == row.id).values(test_path=kept))
