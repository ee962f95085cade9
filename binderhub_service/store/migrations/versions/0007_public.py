"""Temporary users of a public hub."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "temporary_users",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_delivered", sa.Boolean, nullable=False),
    )
    op.create_index("temporary_users_by_client", "temporary_users", ["client"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("temporary_users_by_client", "temporary_users")
    op.drop_table("temporary_users")
