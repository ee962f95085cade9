"""The tables of the store, as the newest migration leaves them."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

builds = sa.Table(
    "builds",
    metadata,
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
    sa.Column("digest", sa.String(80), nullable=False, server_default=""),
    sa.Column("first_of", sa.Text, nullable=False, server_default=""),
    sa.Column("log_bytes", sa.BigInteger, nullable=False, server_default="0"),
)
sa.Index("builds_by_image", builds.c.image, builds.c.state, builds.c.id)
sa.Index("builds_by_state", builds.c.state, builds.c.id)
sa.Index("builds_by_repo", builds.c.repo, builds.c.id)
sa.Index("builds_by_repo_and_state", builds.c.repo, builds.c.state, builds.c.id)
sa.Index("builds_by_owner", builds.c.owner, builds.c.id)
sa.Index("builds_by_owner_and_state", builds.c.owner, builds.c.state, builds.c.id)
sa.Index("builds_by_end", builds.c.finished)

_UNFINISHED = sa.text("state IN ('queued', 'running')")
sa.Index("one_unfinished_build_per_image", builds.c.image, unique=True, sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED)

events = sa.Table(
    "events",
    metadata,
    sa.Column("build_id", sa.String(32), sa.ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("data", sa.Text, nullable=False),
)

requesters = sa.Table(
    "requesters",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("build_id", sa.String(32), sa.ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("wants", sa.Boolean, nullable=False),
)
sa.Index("requesters_by_build", requesters.c.build_id)

images = sa.Table(
    "images",
    metadata,
    sa.Column("name", sa.String(300), primary_key=True),
    sa.Column("last_used", sa.DateTime(timezone=True), nullable=False),
)

templates = sa.Table(
    "templates",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("image", sa.Text, nullable=False),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("memory", sa.BigInteger, nullable=False),
    sa.Column("cpu_shares", sa.BigInteger, nullable=False),
    sa.Column("redirect_uri", sa.Text, nullable=False),
    sa.Column("container_ip", sa.Text, nullable=False),
    sa.Column("bind_port", sa.BigInteger, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("modified", sa.DateTime(timezone=True), nullable=False),
)

named_builds = sa.Table(
    "named_builds",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("repository", sa.Text, nullable=False),
    sa.Column("started", sa.DateTime(timezone=True), nullable=False),
    sa.Column("build_id", sa.String(32), nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("settled", sa.Boolean, nullable=False),
)
sa.Index("named_builds_by_settled", named_builds.c.settled)

image_jobs = sa.Table(
    "image_jobs",
    metadata,
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
sa.Index("image_jobs_by_ended", image_jobs.c.ended)

controls = sa.Table(
    "controls",
    metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("pattern", sa.String(500), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("set_by", sa.String(255), nullable=False),
    sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
)

prepared = sa.Table(
    "prepared",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("repo", sa.Text, nullable=False),
    sa.Column("ref", sa.Text, nullable=False),
    sa.Column("profile", sa.String(255), nullable=False),
    sa.Column("set_by", sa.String(255), nullable=False),
    sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("image", sa.String(300), nullable=False),
    sa.Column("commit", sa.String(64), nullable=False),
    sa.Column("refreshed", sa.DateTime(timezone=True)),
    sa.Column("problem", sa.Text, nullable=False),
)

lease = sa.Table("lease", metadata, sa.Column("generation", sa.Integer, nullable=False))

temporary_users = sa.Table(
    "temporary_users",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("client", sa.String(64), nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("is_delivered", sa.Boolean, nullable=False),
)
sa.Index("temporary_users_by_client", temporary_users.c.client)

rates = sa.Table(
    "rates",
    metadata,
    sa.Column("client", sa.String(64), primary_key=True),
    sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
)
sa.Index("rates_by_end", rates.c.ends)
