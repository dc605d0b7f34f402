"""Statements that are compiled once and run on the driver's own cursor: for those that run many times a second.

SQLAlchemy looks a statement up, binds its values by name and sets up a result each time. For a statement about one row
this takes several times as long as the database does.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, methodcaller
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Delete,
    Dialect,
    Float,
    Insert,
    Numeric,
    Select,
    Update,
    or_,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

_Values = tuple[Any, ...] | dict[str, Any]
_Conversion = tuple[str, Callable[[Any], Any]]


@dataclass(frozen=True)
class _Compiled:
    """A statement as one kind of driver takes it.

    Attributes:
        text: What the driver is given.
        order: The names of its parameters in their order; None where the driver takes them by name.
        constants: Values that stand in the statement itself.
        binds: What makes of a value what the driver takes, by parameter.
        columns: The names of the result's columns.
        results: What makes of what the driver gives a value, by column.
    """

    text: str
    order: tuple[str, ...] | None
    constants: Mapping[str, Any]
    binds: Sequence[_Conversion]
    columns: tuple[str, ...]
    results: Sequence[_Conversion]

    def parameters(self, values: Mapping[str, Any]) -> _Values:
        """The values as the driver takes them."""
        given = {**self.constants, **values}
        for name, convert in self.binds:
            given[name] = convert(given[name])
        return given if self.order is None else tuple([given[name] for name in self.order])

    def row(self, found: Sequence[Any]) -> dict[str, Any]:
        """What the driver found, by column."""
        row = dict(zip(self.columns, found, strict=True))
        for name, convert in self.results:
            row[name] = convert(row[name])
        return row


def is_one_of(column: Column[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """The condition that a column has one of these values; `in_` waits for the values when it is run."""
    return or_(*(column == str(value) for value in values))


class Prepared:
    """A statement that is compiled once for each connection.

    Args:
        statement: None of its parameters stands for several values; see `is_one_of`.
        sets: The columns that an INSERT or UPDATE gives values by parameters of their names.
    """

    def __init__(
        self, statement: Select[*tuple[Any, ...]] | Insert | Update | Delete, sets: Collection[str] = ()
    ) -> None:
        self._statement = statement
        self._sets = sorted(sets)

    def execute(self, c: Connection, values: Mapping[str, Any]) -> int:
        """Run it with a value for each parameter; return how many rows it touched."""
        touched: int = _run(c, self._compiled(c), values, _touched)
        return touched

    def first(self, c: Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The first row that it finds, by column; None when there is none."""
        compiled = self._compiled(c)
        found = _run(c, compiled, values, _first)
        return None if found is None else compiled.row(found)

    def all(self, c: Connection, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All rows that it finds, by column."""
        compiled = self._compiled(c)
        return [compiled.row(found) for found in _run(c, compiled, values, _all)]

    def _compiled(self, c: Connection) -> _Compiled:
        known: _Compiled | None = c.info.get(self)
        if known is None:
            known = c.info[self] = self._compile(c.dialect)
        return known

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled = self._statement.compile(dialect=dialect, column_keys=self._sets or None)
        columns = list(self._statement.selected_columns) if isinstance(self._statement, Select) else []
        binds = [(name, one.type.dialect_impl(dialect).bind_processor(dialect)) for name, one in compiled.binds.items()]
        results = [(one.name, _reader(one.type, dialect)) for one in columns]
        return _Compiled(
            compiled.string,
            None if compiled.positiontup is None else tuple(compiled.positiontup),
            compiled.params,
            _needed(binds),
            tuple(column.name for column in columns),
            _needed(results),
        )


def _reader(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """What makes of what a driver gives a value of that type; None for numbers, which drivers give as they are."""
    return None if isinstance(kind, Float | Numeric) else kind.dialect_impl(dialect).result_processor(dialect, None)


_touched = attrgetter("rowcount")
_first = methodcaller("fetchone")
_all = methodcaller("fetchall")


def _run(c: Connection, compiled: _Compiled, values: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
    """Run a statement; return what `read` takes from the cursor."""
    parameters = compiled.parameters(values)
    base = c.dialect.loaded_dbapi.Error
    cursor = c.connection.cursor()
    try:
        cursor.execute(compiled.text, parameters)
        return read(cursor)
    except base as error:
        raise DBAPIError.instance(compiled.text, parameters, error, base, dialect=c.dialect) from error
    finally:
        cursor.close()


def _needed(conversions: Iterable[tuple[str, Callable[[Any], Any] | None]]) -> tuple[_Conversion, ...]:
    return tuple((name, convert) for name, convert in conversions if convert is not None)
