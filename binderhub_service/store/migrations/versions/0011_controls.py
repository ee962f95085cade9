"""What administrators have switched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "controls",
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("pattern", sa.String(500), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("set_by", sa.String(255), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("controls")
