"""How often clients have asked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "rates",
        sa.Column("client", sa.String(64), primary_key=True),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_index("rates_by_end", "rates", ["ends"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index("rates_by_end", "rates")
    op.drop_table("rates")
