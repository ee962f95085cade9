"""The number of services that have had the database, one after the other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table with its one row."""
    table = op.create_table("lease", sa.Column("generation", sa.Integer, nullable=False))
    op.bulk_insert(table, [{"generation": 0}])


def downgrade() -> None:
    """Remove the table."""
    op.drop_table("lease")
