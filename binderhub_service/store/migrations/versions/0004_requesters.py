"""The table of requesters gets the name that they have everywhere."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Rename the table and its index."""
    _rename("askers", "requesters")


def downgrade() -> None:
    """Go back to the names of the first release."""
    _rename("requesters", "askers")


def _rename(old: str, new: str) -> None:
    op.drop_index(f"{old}_by_build", old)
    op.rename_table(old, new)
    op.create_index(f"{new}_by_build", new, ["build_id"])
