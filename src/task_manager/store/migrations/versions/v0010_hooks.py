"""Who is told of changes of runs, the outbox of their messages, and the commits that runs are about."""

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

from task_manager.errors import StoreError

revision = "0010"
down_revision = "0009"

# Spelled out here, whatever the columns of later versions are.
_ID = String(64).with_variant(String(64, collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables, the column and the index."""
    op.add_column("firings", Column("commit", Text, nullable=True))
    op.create_index("ix_idempotency_keys_record_id", "idempotency_keys", ["record_id"])
    op.create_table(
        "hooks",
        Column("id", _ID, nullable=False),
        Column("name", String(100), nullable=False),
        Column("form", String(32), nullable=False),
        Column("url", Text, nullable=False),
        Column("secret", Text, nullable=True),
        Column("project_id", _ID, nullable=True),
        Column("statuses", JSON(none_as_null=True), nullable=False),
        Column("repository", Text, nullable=True),
        Column("position", BigInteger, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("id", name="pk_hooks"),
        UniqueConstraint("name", name="uq_hooks_name"),
        ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_hooks_project_id", ondelete="CASCADE"),
    )
    op.create_table(
        "hook_leases",
        Column("hook_id", _ID, nullable=False),
        Column("holder", Text, nullable=True),
        Column("leased_until", DateTime(timezone=True), nullable=True),
        PrimaryKeyConstraint("hook_id", name="pk_hook_leases"),
        ForeignKeyConstraint(["hook_id"], ["hooks.id"], name="fk_hook_leases_hook_id", ondelete="CASCADE"),
    )
    op.create_table(
        "hook_deliveries",
        Column("id", _ID, nullable=False),
        Column("hook_id", _ID, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("run_id", _ID, nullable=False),
        Column("status", String(32), nullable=False),
        Column("state", String(32), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("due_at", DateTime(timezone=True), nullable=True),
        Column("response", Integer, nullable=True),
        Column("error", Text, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("finished_at", DateTime(timezone=True), nullable=True),
        PrimaryKeyConstraint("id", name="pk_hook_deliveries"),
        UniqueConstraint("hook_id", "sequence", name="uq_hook_deliveries_hook_id_sequence"),
        ForeignKeyConstraint(["hook_id"], ["hooks.id"], name="fk_hook_deliveries_hook_id", ondelete="CASCADE"),
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_hook_deliveries_run_id", ondelete="CASCADE"),
    )
    op.create_index("ix_hook_deliveries_hook_id_state_sequence", "hook_deliveries", ["hook_id", "state", "sequence"])
    op.create_index("ix_hook_deliveries_run_id", "hook_deliveries", ["run_id"])


def downgrade() -> None:
    """Refused, as every way back is.

    Raises:
        StoreError: Always.
    """
    raise StoreError(
        "A database cannot go back to an earlier version.",
        remedy="Restore a backup that was made with the earlier version of this software.",
    )
