"""Numbers of runs that are over, which statistics read: durations, and how many steps came from earlier runs."""

from alembic import op
from sqlalchemy import Column, Double, Integer, text

from task_manager.errors import StoreError

revision = "0003"
down_revision = "0002"

_SECONDS = {
    "sqlite": "(julianday(finished_at) - julianday(started_at)) * 86400.0",
    "postgresql": "EXTRACT(EPOCH FROM finished_at - started_at)",
}
_COUNT = """
    UPDATE runs SET
        seconds = {seconds},
        steps_cached = (SELECT count(*) FROM steps WHERE run_id = runs.id AND cached),
        steps_counted = (SELECT count(*) FROM steps WHERE run_id = runs.id AND cached IS NOT NULL)
    WHERE finished_at IS NOT NULL
"""


def upgrade() -> None:
    """Add the columns, count for the runs that are over, and index what statistics read."""
    op.add_column("runs", Column("seconds", Double, nullable=True))
    op.add_column("runs", Column("steps_cached", Integer, nullable=True))
    op.add_column("runs", Column("steps_counted", Integer, nullable=True))
    op.execute(text(_COUNT.format(seconds=_SECONDS[op.get_bind().dialect.name])))
    op.drop_index("ix_runs_workflow_id", "runs")
    op.create_index(
        "ix_runs_statistics",
        "runs",
        ["workflow_id", "status", "created_at", "seconds", "steps_cached", "steps_counted"],
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
