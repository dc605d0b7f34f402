"""Records in and out of their tables, the same way for every kind."""

import json
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar

from pydantic import ValidationError
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    RowMapping,
    Select,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from task_manager.documents import place_text
from task_manager.errors import Conflict, InvalidInput, NameTaken, NotFound, StoreError
from task_manager.model_findings import model_findings
from task_manager.models import Record
from task_manager.store.paging import Page, after, check_limit, encode_cursor
from task_manager.store.prepared import Prepared
from task_manager.store.signals import tell

R = TypeVar("R", bound=Record)

MAX_VALUE_BYTES: Final = 1024 * 1024
"""How large one field of a record may be: a text in UTF-8, or a document as JSON."""

_SURELY_FITS: Final = MAX_VALUE_BYTES // 4  # characters: none has more than four bytes
_NEAR_MISSES_AMONG = 1000


class Lock(Enum):
    """What others must not do with a record until the transaction ends."""

    CHANGE = "change"
    """Change it, remove it or lock it; records that refer to it may be added."""
    REMOVAL = "removal"
    """That, and add records that refer to it, for it is going to be removed."""


class Named(Protocol):
    """What people may name as well as tell by its id."""

    @property
    def id(self) -> str:
        """Unique, and told by the machine."""

    @property
    def name(self) -> str:
        """Unique, and chosen by somebody."""


N = TypeVar("N", bound=Named)


def called(kind: str, known: Sequence[N], wanted: str) -> N:
    """The one of a few records that has an id or name.

    Raises:
        NotFound: None has it; near misses are named.
    """
    for one in known:
        if wanted in (one.id, one.name):
            return one
    names = [one.name for one in known]
    raise NotFound(kind, wanted, known=[*names, *(one.id for one in known)], names=names)


class RecordTable(Generic[R]):
    """A table that holds records of one kind.

    Args:
        kind: What people call such a record, in lower case.
        model: The class of the records.
        table: Where they are stored; its columns have the names of the model's fields.
        newest_first: The order of its lists.
        order: The columns that its lists are ordered by; together unique.
    """

    def __init__(
        self, kind: str, model: type[R], table: Table, *, order: Sequence[str] = ("id",), newest_first: bool = False
    ) -> None:
        self.kind = kind
        self.model = model
        self.table = table
        self.newest_first = newest_first
        self._order: list[Column[Any]] = [table.c[name] for name in order]
        fields = {column.name for column in table.c} & set(model.model_fields)
        self._fields = frozenset(fields)
        self._documents = frozenset(name for name in fields if isinstance(table.c[name].type, JSON))
        self._insert = Prepared(insert(table).inline(), fields)

    def row(self, record: R, only: Set[str] | None = None) -> dict[str, Any]:
        """The record as values for the table's columns, or for some of them.

        Raises:
            InvalidInput: A text has a NUL character, which PostgreSQL cannot keep; or a value is too large.
        """
        names = self._fields if only is None else self._fields & only
        row = {name: self._plain(name, getattr(record, name)) for name in names - self._documents}
        documents = {name for name in names & self._documents if getattr(record, name) is not None}
        row |= dict.fromkeys(names & self._documents)
        if documents:
            row |= record.model_dump(mode="json", include=documents)
            for name in documents:
                self._check_size(name, json.dumps(row[name], ensure_ascii=False, separators=(",", ":")), " as JSON")
        return row

    def _plain(self, name: str, value: Any) -> Any:
        """A value that is no document, as its column takes it."""
        if not isinstance(value, str):
            return value
        if "\0" in value:
            raise InvalidInput(f"The {name} of a {self.kind} cannot have a NUL character.")
        self._check_size(name, value, "")
        return value.value if isinstance(value, Enum) else value

    def _check_size(self, name: str, text: str, written: str) -> None:
        if len(text) <= _SURELY_FITS:
            return
        size = len(text.encode(errors="surrogatepass"))
        if size > MAX_VALUE_BYTES:
            raise InvalidInput(
                f"The field {name!r} of a {self.kind} has at most {MAX_VALUE_BYTES:,} bytes{written}, not {size:,}.",
                remedy="Keep large data in files of the source folder.",
                details={"kind": self.kind, "field": name, "size": size, "limit": MAX_VALUE_BYTES},
            )

    def records(self, c: Connection, rows: Sequence[RowMapping | Mapping[str, Any]]) -> tuple[R, ...]:
        """The records of rows; a kind with fields in another table reads them here."""
        return tuple(self.record(row) for row in rows)

    def record(self, row: RowMapping | Mapping[str, Any], **more: Any) -> R:
        """The record of a row.

        Args:
            row: A value for each column.
            more: Fields that have no column.

        Raises:
            StoreError: The row holds something that the model does not know.
        """
        data = {**row, **more}
        try:
            return self.model.model_validate(data)
        except ValidationError as error:
            findings = model_findings(error, self.model, data)
            raise StoreError(
                f"A {self.kind} in the database cannot be read: {findings[0].located('the whole')}",
                remedy="Was it changed by hand, or by another version of this software?",
                details={"findings": [place_text(finding.place) for finding in findings]},
            ) from error

    def insert(self, c: Connection, record: R) -> R:
        """Stores a new record; returns it."""
        self._insert.execute(c, self.row(record))
        return record

    def insert_all(self, c: Connection, records: Sequence[R]) -> None:
        """Stores new records."""
        for record in records:
            self.insert(c, record)

    def matching(self, **values: object) -> Select[Any]:
        """The query for the records that have these values; None stands for any."""
        return select(self.table).where(
            *(self.table.c[name] == value for name, value in values.items() if value is not None)
        )

    def all(
        self, c: Connection, query: Select[Any] | Prepared, values: Mapping[str, Any] = MappingProxyType({})
    ) -> tuple[R, ...]:
        """The records that the query selects, with these values for its parameters."""
        if isinstance(query, Prepared):
            return self.records(c, query.all(c, values))
        return self.records(c, c.execute(query, values).mappings().all())

    def first(self, c: Connection, query: Select[Any]) -> R | None:
        """The first record that the query selects."""
        return next(iter(self.all(c, query.limit(1))), None)

    def page(self, c: Connection, query: Select[Any], *, limit: int, cursor: str | None) -> Page[R]:
        """A page of the records that the query selects.

        Raises:
            InvalidInput: The limit or the cursor cannot be used.
        """
        ordered = after(query, cursor, self._order, newest_first=self.newest_first)
        found = self.all(c, ordered.limit(check_limit(limit) + 1))
        if len(found) <= limit:
            return Page(found)
        last = found[limit - 1]
        return Page(found[:limit], encode_cursor([getattr(last, column.name) for column in self._order]))


class IdentifiedTable(RecordTable[R]):
    """A table whose records have an `id`; `get` finds it."""

    def __init__(self, kind: str, model: type[R], table: Table, **order: Any) -> None:
        super().__init__(kind, model, table, **order)
        by_id = select(table).where(table.c.id == bindparam("known_id"))
        # SQLite has one writer at a time and leaves the locks out of the query.
        self._by_id = {
            None: Prepared(by_id),
            Lock.CHANGE: Prepared(by_id.with_for_update(key_share=True)),
            Lock.REMOVAL: Prepared(by_id.with_for_update()),
        }

    def get(self, c: Connection, identifier: str, *, lock: Lock | None = None) -> R:
        """The record of that id.

        Args:
            c: The transaction.
            identifier: The id.
            lock: What to keep others from doing until the transaction ends.

        Raises:
            NotFound: There is none.
        """
        for record in self.all(c, self._by_id[lock], {"known_id": identifier}):
            return record
        raise self.missing(c, identifier)

    def delete(self, c: Connection, identifier: str) -> None:
        """Removes the record of that id, with all that belongs to it.

        Raises:
            NotFound: There is none.
        """
        if c.execute(delete(self.table).where(self.table.c.id == identifier)).rowcount == 0:
            raise self.missing(c, identifier)

    def missing(self, c: Connection, identifier: str) -> NotFound:
        """The error for an id that is not there, with near misses among the newest records."""
        return NotFound(self.kind, identifier, known=self._newest(c, "id"))

    def _newest(self, c: Connection, column: str, **among: object) -> list[str]:
        query = self.matching(**among).with_only_columns(self.table.c[column])
        return [str(value) for value in c.scalars(query.order_by(self.table.c.id.desc()).limit(_NEAR_MISSES_AMONG))]


class RevisedTable(IdentifiedTable[R]):
    """A table whose records have a `revision`, compared before they are changed."""

    def __init__(self, kind: str, model: type[R], table: Table, **order: Any) -> None:
        super().__init__(kind, model, table, **order)
        self._update = update(table).where(
            table.c.id == bindparam("known_id"), table.c.revision == bindparam("known_revision")
        )
        self._updates: dict[frozenset[str], Prepared] = {}

    def update(self, c: Connection, record: R) -> R:
        """Stores a changed record, if nobody changed it since it was read.

        Args:
            c: The transaction.
            record: The record, with the revision that was read.

        Returns:
            The record with its new revision.

        Raises:
            Conflict: The stored revision is another one; both are named.
            NotFound: The record is not there (any more).
        """
        row = self.row(record)
        return self._compare_and_set(c, record, row.pop("id"), row.pop("revision"), row)

    def change(self, c: Connection, record: R, changes: Mapping[str, Any]) -> R:
        """Stores some fields of a record that was read, as `update` does.

        Args:
            c: The transaction.
            record: The record as it was read.
            changes: Valid values by field.

        Returns:
            The record with the changes and its new revision.
        """
        changed = record.model_copy(update=dict(changes))
        row = self.row(changed, only={*changes, "id", "revision"})
        return self._compare_and_set(c, changed, row.pop("id"), row.pop("revision"), row)

    def _compare_and_set(self, c: Connection, record: R, identifier: str, revision: int, row: Mapping[str, Any]) -> R:
        columns = frozenset(row) | {"revision"}
        if columns not in self._updates:
            self._updates[columns] = Prepared(self._update, columns)
        values = {**row, "revision": revision + 1, "known_id": identifier, "known_revision": revision}
        if self._updates[columns].execute(c, values) == 0:
            raise self.conflict(c, identifier, revision)
        return record.model_copy(update={"revision": revision + 1})

    def conflict(self, c: Connection, identifier: str, expected: int) -> Conflict | NotFound:
        """The error for a record that does not have the expected revision."""
        found = c.scalar(select(self.table.c.revision).where(self.table.c.id == identifier))
        if found is None:
            return self.missing(c, identifier)
        return Conflict(
            f"The {self.kind} {identifier} has revision {found}, not {expected}: somebody else changed it.",
            remedy="Read it again and repeat the change.",
            details={"kind": self.kind, "id": identifier, "expected": expected, "found": found},
        )


class NamedTable(RevisedTable[R]):
    """A table whose records people also know by a name; whoever follows the log is told that they have changed.

    Args:
        name: The column that holds it.
    """

    def __init__(self, kind: str, model: type[R], table: Table, *, name: str, **order: Any) -> None:
        super().__init__(kind, model, table, **order)
        self._name = name

    def insert(self, c: Connection, record: R) -> R:
        """Stores a new record; returns it."""
        tell(c)
        return super().insert(c, record)

    def delete(self, c: Connection, identifier: str) -> None:
        """Removes the record of that id, with all that belongs to it.

        Raises:
            NotFound: There is none.
        """
        tell(c)
        super().delete(c, identifier)

    def _compare_and_set(self, c: Connection, record: R, identifier: str, revision: int, row: Mapping[str, Any]) -> R:
        tell(c)
        return super()._compare_and_set(c, record, identifier, revision, row)

    def find(self, c: Connection, wanted: str, **among: object) -> R:
        """The record of that id or name among those that have these values; None stands for any.

        Raises:
            NotFound: There is none; near misses are named.
            InvalidInput: Several have that name; their ids are named.
        """
        for record in self.all(c, self._by_id[None], {"known_id": wanted}):
            if all(value is None or getattr(record, name) == value for name, value in among.items()):
                return record
        is_wanted = self.table.c[self._name] == wanted
        ids = c.scalars(self.matching(**among).with_only_columns(self.table.c.id).where(is_wanted)).all()
        if not ids:
            names = self._newest(c, self._name, **among)
            raise NotFound(self.kind, wanted, known=[*self._newest(c, "id", **among), *names], names=names)
        if len(ids) > 1:
            raise InvalidInput(
                f"{len(ids)} {self.kind}s are called {wanted!r}: {', '.join(sorted(ids))}.",
                remedy="Name one by its id.",
                details={"ids": sorted(ids)},
            )
        return self.get(c, ids[0])

    def check_name(self, c: Connection, record: R, **among: object) -> None:
        """Refuse a name that another record has, among those that have these values.

        Raises:
            NameTaken: Another one has it.
        """
        row = self.row(record)
        columns = self.table.c
        is_other = (columns[self._name] == row[self._name]) & (columns.id != row["id"])
        other = c.scalar(self.matching(**among).with_only_columns(columns.id).where(is_other))
        if other is not None:
            raise NameTaken(
                f"There is a {self.kind} {row[self._name]!r} already: {other}.",
                remedy=f"Choose another {self._name}.",
                details={self._name: row[self._name], "id": other},
            )
