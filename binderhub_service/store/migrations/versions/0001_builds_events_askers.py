"""The first schema: builds, their events, and who asked for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_UNFINISHED = sa.text("state IN ('queued', 'running')")


def upgrade() -> None:
    """Create the three tables and their indexes."""
    op.create_table(
        "builds",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("repo", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("commit", sa.String(64), nullable=False),
        sa.Column("image", sa.String(300), nullable=False),
        sa.Column("environment", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True)),
        sa.Column("finished", sa.DateTime(timezone=True)),
        sa.Column("error", sa.JSON(none_as_null=True)),
        sa.Column("force", sa.Boolean, nullable=False),
        sa.Column("last_event", sa.Integer, nullable=False),
        sa.Column("cursor", sa.String(255), nullable=False),
    )
    for column in ("image", "state", "repo", "owner"):
        op.create_index(f"builds_by_{column}", "builds", [column, "id"])
    op.create_index("one_unfinished_build_per_image", "builds", ["image"], unique=True, sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED)
    op.create_table(
        "events",
        sa.Column("build_id", sa.String(32), sa.ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_table(
        "askers",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("build_id", sa.String(32), sa.ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("wants", sa.Boolean, nullable=False),
    )
    op.create_index("askers_by_build", "askers", ["build_id"])


def downgrade() -> None:
    """Drop everything."""
    for table in ("askers", "events", "builds"):
        op.drop_table(table)
