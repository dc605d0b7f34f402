"""What is in columns, for SQLite and PostgreSQL alike."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, String, TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """A point in time, with microseconds. SQLite keeps no time zone, so what is written there is UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time in UTC; without its zone where the database keeps none."""
        if value is None:
            return None
        universal = value.astimezone(UTC)
        return universal.replace(tzinfo=None) if dialect.name == "sqlite" else universal

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


# Ids are compared byte by byte, so that they sort by time whatever the database's language.
ID = String(64).with_variant(String(64, collation="C"), "postgresql")
# A serial number: SQLite counts up only in a column whose type is spelled INTEGER.
SERIAL = BigInteger().with_variant(Integer, "sqlite")
# `json`, not `jsonb`, on PostgreSQL: it keeps what was written, NUL characters in strings included.
DOCUMENT: JSON[Any] = JSON(none_as_null=True)
