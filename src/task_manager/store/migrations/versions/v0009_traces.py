"""The trace that a run is a part of."""

from alembic import op
from sqlalchemy import Column, Text

from task_manager.errors import StoreError

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns; runs that there are belong to no trace."""
    op.add_column("runs", Column("traceparent", Text, nullable=True))
    op.add_column("runs", Column("tracestate", Text, nullable=True))


def downgrade() -> None:
    """Refused, as every way back is.

    Raises:
        StoreError: Always.
    """
    raise StoreError(
        "A database cannot go back to an earlier version.",
        remedy="Restore a backup that was made with the earlier version of this software.",
    )
