"""How much log of each build is stored, so that all of it can be bounded without reading it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column, and count what is there."""
    op.add_column("builds", sa.Column("log_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(
        "UPDATE builds SET log_bytes = (SELECT COALESCE(SUM(LENGTH(events.data)), 0) FROM events "
        "WHERE events.build_id = builds.id AND events.kind = 'log')"
    )


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("builds", "log_bytes")
