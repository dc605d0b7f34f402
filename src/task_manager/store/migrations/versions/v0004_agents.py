"""What agents need: claims of tasks, results that were read, access tokens."""

from alembic import op
from sqlalchemy import (
    Column,
    DateTime,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

from task_manager.errors import StoreError

revision = "0004"
down_revision = "0003"

# Spelled out here, whatever the columns of later versions are.
_ID = String(64).with_variant(String(64, collation="C"), "postgresql")
_TIME = DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "task_claims",
        Column("task_id", _ID, nullable=False),
        Column("holder", Text, nullable=False),
        Column("expires_at", _TIME, nullable=False),
        ForeignKeyConstraint(["task_id"], ["tasks.id"], "fk_task_claims_task_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("task_id", name="pk_task_claims"),
    )
    op.create_table(
        "read_results",
        Column("run_id", _ID, nullable=False),
        Column("reader", String(200), nullable=False),
        Column("read_at", _TIME, nullable=False),
        ForeignKeyConstraint(["run_id"], ["runs.id"], "fk_read_results_run_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("run_id", "reader", name="pk_read_results"),
    )
    op.create_table(
        "access_tokens",
        Column("id", _ID, nullable=False),
        Column("name", String(100), nullable=False),
        Column("scope", String(32), nullable=False),
        Column("digest", String(64), nullable=False),
        Column("created_at", _TIME, nullable=False),
        Column("expires_at", _TIME, nullable=True),
        Column("used_at", _TIME, nullable=True),
        PrimaryKeyConstraint("id", name="pk_access_tokens"),
        UniqueConstraint("name", name="uq_access_tokens_name"),
        UniqueConstraint("digest", name="uq_access_tokens_digest"),
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
