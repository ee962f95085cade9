"""Indexes for what is looked up by two columns, so that it costs the same however many builds there are."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the indexes."""
    op.drop_index("builds_by_image", "builds")
    op.create_index("builds_by_image", "builds", ["image", "state", "id"])
    op.create_index("builds_by_repo_and_state", "builds", ["repo", "state", "id"])
    op.create_index("builds_by_owner_and_state", "builds", ["owner", "state", "id"])
    op.create_index("builds_by_end", "builds", ["finished"])


def downgrade() -> None:
    """Go back to those of one column."""
    for name in ("builds_by_end", "builds_by_owner_and_state", "builds_by_repo_and_state", "builds_by_image"):
        op.drop_index(name, "builds")
    op.create_index("builds_by_image", "builds", ["image", "id"])
