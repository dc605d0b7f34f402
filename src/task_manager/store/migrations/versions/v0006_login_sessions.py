"""Browsers that logged in with an access token."""

from alembic import op
from sqlalchemy import Column, DateTime, ForeignKeyConstraint, PrimaryKeyConstraint, String

from task_manager.errors import StoreError

revision = "0006"
down_revision = "0005"

# Spelled out here, whatever the columns of later versions are.
_ID = String(64).with_variant(String(64, collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "login_sessions",
        Column("digest", String(64), nullable=False),
        Column("token_id", _ID, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("expires_at", DateTime(timezone=True), nullable=False),
        PrimaryKeyConstraint("digest", name="pk_login_sessions"),
        ForeignKeyConstraint(["token_id"], ["access_tokens.id"], name="fk_login_sessions_token_id", ondelete="CASCADE"),
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
