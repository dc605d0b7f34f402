"""The database's versions.

`versions/` has one file for each version, numbered upwards and never changed after a release. A new one is written by
hand, `HEAD` is raised with it, and the tests compare what all of them make with `tables.metadata`. A new data folder
gets that at once, without going through them. There is no way back to an older version: restore a backup.
"""

from typing import Final

HEAD: Final = "0011"
"""The newest version."""

VERSION_TABLE: Final = "task_manager_version"
"""Where the database says which version it has; not Alembic's own name, for a database may be shared."""
