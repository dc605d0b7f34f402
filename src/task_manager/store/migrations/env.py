"""Run by Alembic: applies the versions over the transaction that `upgrade` has opened."""

from alembic import context

from task_manager.store.migrations import VERSION_TABLE
from task_manager.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite changes tables inside transactions too, and can change little of a table except by making it anew.
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
