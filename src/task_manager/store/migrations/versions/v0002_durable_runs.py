"""Runs that survive: dependencies, hand-over, recovery; workers; idempotency keys; paused projects."""

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
)

from task_manager.errors import StoreError

revision = "0002"
down_revision = "0001"

# Spelled out here, whatever the columns of later versions are.
_ID = String(64).with_variant(String(64, collation="C"), "postgresql")
_TIME = DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns and tables."""
    op.add_column("projects", Column("paused_at", _TIME, nullable=True))
    op.add_column("steps", Column("cached", Boolean, nullable=True))
    op.add_column("steps", Column("attempt", Integer, nullable=False, server_default="1"))
    _extend_runs()
    _create_run_dependencies()
    _create_workers()
    _create_idempotency_keys()


def downgrade() -> None:
    """Refused: what runs wait for would be lost.

    Raises:
        StoreError: Always.
    """
    raise StoreError(
        "A database cannot go back to an earlier version.",
        remedy="Restore a backup that was made with the earlier version of this software.",
    )


def _extend_runs() -> None:
    for column in (
        Column("priority", String(32), nullable=False, server_default="medium"),
        Column("template_id", Text, nullable=True),
        Column("snapshot", Text, nullable=True),
        Column("rerun_of", _ID, nullable=True),
        Column("from_step", Text, nullable=True),
        Column("due_at", _TIME, nullable=True),
        Column("dispatched", Integer, nullable=False, server_default="0"),
        Column("recoveries", Integer, nullable=False, server_default="0"),
        Column("worker_id", Text, nullable=True),
    ):
        op.add_column("runs", column)


def _create_run_dependencies() -> None:
    op.create_table(
        "run_dependencies",
        Column("run_id", _ID, nullable=False),
        Column("upstream_id", _ID, nullable=False),
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_dependencies_run_id", ondelete="CASCADE"),
        ForeignKeyConstraint(["upstream_id"], ["runs.id"], name="fk_run_dependencies_upstream_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("run_id", "upstream_id", name="pk_run_dependencies"),
    )
    op.create_index("ix_run_dependencies_upstream_id", "run_dependencies", ["upstream_id"])


def _create_workers() -> None:
    op.create_table(
        "workers",
        Column("id", _ID, nullable=False),
        Column("host", Text, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("version", Text, nullable=False),
        Column("capacity", Integer, nullable=False),
        Column("settings_digest", Text, nullable=False),
        Column("state", String(32), nullable=False),
        Column("started_at", _TIME, nullable=False),
        Column("seen_at", _TIME, nullable=False),
        PrimaryKeyConstraint("id", name="pk_workers"),
    )


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        Column("operation", String(64), nullable=False),
        Column("key", String(200), nullable=False),
        Column("digest", Text, nullable=False),
        Column("record_id", _ID, nullable=False),
        Column("created_at", _TIME, nullable=False),
        PrimaryKeyConstraint("operation", "key", name="pk_idempotency_keys"),
    )
