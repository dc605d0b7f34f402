"""What is started at which times, and what became of the due times."""

from alembic import op
from sqlalchemy import (
    JSON,
    Boolean,
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

revision = "0011"
down_revision = "0010"

# Spelled out here, whatever the columns of later versions are.
_ID = String(64).with_variant(String(64, collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "schedules",
        Column("id", _ID, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("updated_at", DateTime(timezone=True), nullable=False),
        Column("revision", Integer, nullable=False),
        Column("name", String(100), nullable=False),
        Column("cron", String(200), nullable=False),
        Column("timezone", String(100), nullable=False),
        Column("task_id", _ID, nullable=True),
        Column("project_id", _ID, nullable=True),
        Column("template_id", Text, nullable=True),
        Column("parameters", JSON(none_as_null=True), nullable=False),
        Column("missed", String(32), nullable=False),
        Column("overlap", String(32), nullable=False),
        Column("use_cache", Boolean, nullable=False),
        Column("paused_at", DateTime(timezone=True), nullable=True),
        Column("created_by", Text, nullable=False),
        Column("next_due_at", DateTime(timezone=True), nullable=True),
        Column("last_due_at", DateTime(timezone=True), nullable=True),
        Column("last_run_ids", JSON(none_as_null=True), nullable=False),
        PrimaryKeyConstraint("id", name="pk_schedules"),
        UniqueConstraint("name", name="uq_schedules_name"),
        ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_schedules_task_id", ondelete="CASCADE"),
        ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_schedules_project_id", ondelete="CASCADE"),
    )
    op.create_table(
        "schedule_leases",
        Column("schedule_id", _ID, nullable=False),
        Column("holder", Text, nullable=True),
        Column("leased_until", DateTime(timezone=True), nullable=True),
        PrimaryKeyConstraint("schedule_id", name="pk_schedule_leases"),
        ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name="fk_schedule_leases_schedule_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "occurrences",
        Column("schedule_id", _ID, nullable=False),
        Column("due_at", DateTime(timezone=True), nullable=False),
        Column("state", String(32), nullable=False),
        Column("missed_since", DateTime(timezone=True), nullable=True),
        Column("run_ids", JSON(none_as_null=True), nullable=False),
        Column("note", Text, nullable=False),
        Column("noted_at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("schedule_id", "due_at", name="pk_occurrences"),
        ForeignKeyConstraint(["schedule_id"], ["schedules.id"], name="fk_occurrences_schedule_id", ondelete="CASCADE"),
    )
    op.create_index("ix_occurrences_due_at_schedule_id", "occurrences", ["due_at", "schedule_id"])
    op.create_index("ix_occurrences_schedule_id_state", "occurrences", ["schedule_id", "state"])


def downgrade() -> None:
    """Refused, as every way back is.

    Raises:
        StoreError: Always.
    """
    raise StoreError(
        "A database cannot go back to an earlier version.",
        remedy="Restore a backup that was made with the earlier version of this software.",
    )
