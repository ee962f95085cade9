"""The digest of a build's image, and when images were last used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add a column and a table."""
    op.add_column("builds", sa.Column("digest", sa.String(80), nullable=False, server_default=""))
    op.create_table(
        "images",
        sa.Column("name", sa.String(300), primary_key=True),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("images")
    op.drop_column("builds", "digest")
