"""Of which files a build honours only the first that is there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; earlier builds honoured all files."""
    op.add_column("builds", sa.Column("first_of", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Remove the column."""
    with op.batch_alter_table("builds") as table:
        table.drop_column("first_of")
