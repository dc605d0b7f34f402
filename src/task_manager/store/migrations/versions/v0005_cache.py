"""The cache: what it was for each run, the keys of runs, and which run of equal ones is executed."""

from alembic import op
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    Text,
)

from task_manager.errors import StoreError

revision = "0005"
down_revision = "0004"

# Spelled out here, whatever the columns of later versions are.
_ID = String(64).with_variant(String(64, collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("runs", Column("cache_key", Text, nullable=True))
    op.add_column("runs", Column("original_run_id", _ID, nullable=True))
    op.add_column("runs", Column("flight", String(80), nullable=True))
    op.create_index("ix_runs_flight", "runs", ["flight"], unique=True)
    op.create_table(
        "cache_records",
        Column("run_id", _ID, nullable=False),
        Column("key", Text, nullable=True),
        Column("outcome", String(16), nullable=False),
        Column("reason", String(64), nullable=False),
        Column("text", Text, nullable=False),
        Column("tier", String(32), nullable=True),
        Column("saved_seconds", Double, nullable=True),
        Column("stored", Boolean, nullable=True),
        Column("components", JSON(none_as_null=True), nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("run_id", name="pk_cache_records"),
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_cache_records_run_id", ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Refused, as every way back is.

    Raises:
        StoreError: Always.
    """
    raise StoreError(
        "A database cannot go back to an earlier version.",
        remedy="Restore a backup that was made with the earlier version of this software.",
    )
