"""Builds of images that are pushed elsewhere, as boatyard's clients ask for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "image_jobs",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("image_name", sa.Text, nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("has_login", sa.Boolean, nullable=False),
        sa.Column("build_id", sa.String(32), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
    )
    op.create_index("image_jobs_by_ended", "image_jobs", ["ended"])


def downgrade() -> None:
    """Remove the table."""
    op.drop_table("image_jobs")
