"""What webhooks start, and what became of them."""

from alembic import op
from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

from task_manager.errors import StoreError

revision = "0008"
down_revision = "0007"

# Spelled out here, whatever the columns of later versions are.
_ID = String(64).with_variant(String(64, collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "triggers",
        Column("id", _ID, nullable=False),
        Column("name", String(100), nullable=False),
        Column("source", String(32), nullable=False),
        Column("secret", Text, nullable=False),
        Column("events", JSON(none_as_null=True), nullable=False),
        Column("repository", Text, nullable=True),
        Column("branch", Text, nullable=True),
        Column("conditions", JSON(none_as_null=True), nullable=False),
        Column("task_id", _ID, nullable=True),
        Column("project_id", _ID, nullable=True),
        Column("template_id", Text, nullable=True),
        Column("parameters", JSON(none_as_null=True), nullable=False),
        Column("payload_parameters", JSON(none_as_null=True), nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("id", name="pk_triggers"),
        UniqueConstraint("name", name="uq_triggers_name"),
        ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_triggers_task_id", ondelete="CASCADE"),
        ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_triggers_project_id", ondelete="CASCADE"),
    )
    op.create_table(
        "firings",
        Column("trigger_id", _ID, nullable=False),
        Column("delivery_id", String(200), nullable=False),
        Column("event", Text, nullable=False),
        Column("repository", Text, nullable=True),
        Column("branch", Text, nullable=True),
        Column("run_ids", JSON(none_as_null=True), nullable=False),
        Column("error", Text, nullable=False),
        Column("received_at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("trigger_id", "delivery_id", name="pk_firings"),
        ForeignKeyConstraint(["trigger_id"], ["triggers.id"], name="fk_firings_trigger_id", ondelete="CASCADE"),
    )
    op.create_index("ix_firings_received_at_delivery_id", "firings", ["received_at", "delivery_id"])


def downgrade() -> None:
    """Refused, as every way back is.

    Raises:
        StoreError: Always.
    """
    raise StoreError(
        "A database cannot go back to an earlier version.",
        remedy="Restore a backup that was made with the earlier version of this software.",
    )
