"""PostgreSQL beside SQLite, where it matters."""

from tests.store.conftest import postgresql

__all__ = ["postgresql"]
