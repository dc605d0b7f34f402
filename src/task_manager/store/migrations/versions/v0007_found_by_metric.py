"""What results and the cache are searched and counted by: metrics, keys, and what happened to the cache's tiers."""

from collections.abc import Mapping, Sequence
from typing import Any

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    String,
    column,
    insert,
    select,
    table,
)

from task_manager.errors import StoreError

revision = "0007"
down_revision = "0006"

# Spelled out here, whatever the columns of later versions are.
_ID = String(64).with_variant(String(64, collation="C"), "postgresql")
_LONGEST_NAME = 200
_AT_ONCE = 100


def upgrade() -> None:
    """Add the tables and the index, and fill in the metrics of the results that there are."""
    op.create_index("ix_cache_records_key", "cache_records", ["key"])
    op.create_table(
        "cache_counts",
        Column("name", String(32), nullable=False),
        Column("tier", String(32), nullable=False),
        Column("count", BigInteger, nullable=False),
        PrimaryKeyConstraint("name", "tier", name="pk_cache_counts"),
    )
    op.create_table(
        "result_metrics",
        Column("run_id", _ID, nullable=False),
        Column("name", String(_LONGEST_NAME), nullable=False),
        Column("value", Double, nullable=False),
        PrimaryKeyConstraint("run_id", "name", name="pk_result_metrics"),
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_result_metrics_run_id", ondelete="CASCADE"),
    )
    op.create_index("ix_result_metrics_name_value", "result_metrics", ["name", "value"])
    _fill()


def _fill() -> None:
    results = table("results", column("run_id", _ID), column("data", JSON))
    metrics = table("result_metrics", column("run_id", _ID), column("name", String), column("value", Double))
    connection = op.get_bind()
    runs = list(connection.scalars(select(results.c.run_id)))
    for start in range(0, len(runs), _AT_ONCE):
        some = select(results.c.run_id, results.c.data).where(results.c.run_id.in_(runs[start : start + _AT_ONCE]))
        rows = [row for run_id, data in connection.execute(some).all() for row in _rows(run_id, data)]
        if rows:
            connection.execute(insert(metrics), rows)


def _rows(run_id: str, data: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: dict[str, float] = {}
    for metric in data.get("metrics", ()):
        name = metric["name"].encode("utf-8", "replace").decode().replace("\0", "?")[:_LONGEST_NAME]
        found.setdefault(name, metric["value"])
    return [{"run_id": run_id, "name": name, "value": value} for name, value in found.items()]


def downgrade() -> None:
    """Refused, as every way back is.

    Raises:
        StoreError: Always.
    """
    raise StoreError(
        "A database cannot go back to an earlier version.",
        remedy="Restore a backup that was made with the earlier version of this software.",
    )
