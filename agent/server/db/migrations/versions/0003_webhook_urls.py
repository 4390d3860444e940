"""The URL of a webhook is sealed; the address of a target is what may be shown of it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notice_targets", sa.Column("url", sa.LargeBinary(), nullable=True))
