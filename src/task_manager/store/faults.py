"""Errors of databases and disks, translated into the project's tree once, where they leave the store."""

import contextlib
import errno
import shutil
import sqlite3
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from task_manager.errors import Conflict, InvalidInput, StoreError, StoreFull, StoreUnwritable, TaskManagerError

BUSY_SECONDS: Final = 30
"""How long a transaction waits for another one that has what it needs."""

_FULL_BELOW: Final = 64 * 1024
"""Bytes free under which an I/O error of SQLite means a full disk: its shared memory grows by 32 KiB at a time."""


class _Fault(Enum):
    """What can be wrong: the error's class, what is said (about {place}, in {words}), and what to do."""

    BUSY = (
        StoreError,
        f"The database {{place}} is busy: it was not free within {BUSY_SECONDS} seconds ({{words}}).",
        "Try again; if it stays so, end the process that holds it.",
    )
    FULL = (
        StoreFull,
        "No space is left for {place} ({words}); nothing was changed.",
        "Free some space on that disk and repeat.",
    )
    UNWRITABLE = (
        StoreUnwritable,
        "{place} cannot be written: {words}.",
        "Make it yours to write, or choose another data folder.",
    )
    DISK = (StoreError, "The disk that holds {place} reports an error: {words}.", "Check the disk, then repeat.")
    DAMAGED = (
        StoreError,
        "The database {place} is damaged: {words}.",
        "Restore a backup, or move the file away to start with an empty one.",
    )
    FOREIGN = (
        StoreError,
        "{place} is not a database of this software: {words}.",
        "Move the file away, or choose another data folder.",
    )
    UNREACHABLE = (
        StoreError,
        "The database {place} cannot be reached: {words}.",
        "Check that its server runs, and the address, user and password.",
    )
    VALUE = (InvalidInput, "A value cannot be stored: {words}.", "")
    OTHER = (StoreError, "The database {place} reports an error: {words}.", "")


# SQLite's primary result codes (sqlite.org/rescode.html); an extended code has its primary one in the lowest byte.
_SQLITE: Final = {
    sqlite3.SQLITE_BUSY: _Fault.BUSY,
    sqlite3.SQLITE_LOCKED: _Fault.BUSY,
    sqlite3.SQLITE_FULL: _Fault.FULL,
    sqlite3.SQLITE_READONLY: _Fault.UNWRITABLE,
    sqlite3.SQLITE_PERM: _Fault.UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _Fault.UNWRITABLE,
    sqlite3.SQLITE_IOERR: _Fault.DISK,
    sqlite3.SQLITE_CORRUPT: _Fault.DAMAGED,
    sqlite3.SQLITE_NOTADB: _Fault.FOREIGN,
    sqlite3.SQLITE_TOOBIG: _Fault.VALUE,
}

# PostgreSQL's error codes (its manual, appendix A), by how they begin; the longest beginning decides.
_POSTGRESQL: Final = {
    "08": _Fault.UNREACHABLE,
    "22": _Fault.VALUE,
    "25006": _Fault.UNWRITABLE,
    "28": _Fault.UNREACHABLE,
    "3D": _Fault.UNREACHABLE,
    "40": _Fault.BUSY,
    "42501": _Fault.UNWRITABLE,
    "53100": _Fault.FULL,
    "53300": _Fault.BUSY,
    "55P03": _Fault.BUSY,
    "57P": _Fault.UNREACHABLE,
    "58": _Fault.DISK,
    "XX001": _Fault.DAMAGED,
    "XX002": _Fault.DAMAGED,
}

_DEADLOCK: Final = frozenset({"40001", "40P01"})
_UNIQUE: Final = frozenset({"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})
_REFERENCE: Final = frozenset({"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"})


@contextlib.contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn errors of the database and the disk into those of the tree; those of the tree pass.

    Args:
        place: The database, as people know it: a path, or an address without a password.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, UnicodeEncodeError, OverflowError) as error:
        raise _translate(error, place) from error


def is_deadlock(error: DBAPIError) -> bool:
    """Whether PostgreSQL ended this transaction because others and it waited for each other; it may be run again."""
    return _state(error.orig) in _DEADLOCK


def _translate(error: Exception, place: str) -> TaskManagerError:
    cause = (error.orig or error) if isinstance(error, StatementError) else error
    if isinstance(cause, TaskManagerError):
        return cause
    words = _words(cause)
    if isinstance(error, IntegrityError):
        return _broken_rule(cause, words)
    kind, message, remedy = _fault(error, cause, place).value
    translated_error: TaskManagerError = kind(message.format(place=place, words=words), remedy=remedy)
    return translated_error


def _fault(error: Exception, cause: BaseException, place: str) -> _Fault:
    if isinstance(cause, sqlite3.Error):
        found = _SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, _Fault.OTHER)
        return _Fault.FULL if found is _Fault.DISK and _is_full(place) else found
    if isinstance(cause, OSError):
        return _Fault.FULL if cause.errno in (errno.ENOSPC, errno.EDQUOT) else _Fault.UNWRITABLE
    state = _state(cause)
    if state:
        beginnings = (state[:length] for length in range(len(state), 0, -1))
        return next((_POSTGRESQL[beginning] for beginning in beginnings if beginning in _POSTGRESQL), _Fault.OTHER)
    if isinstance(error, DataError) or not isinstance(error, SQLAlchemyError | OSError) or _is_refused_value(error):
        return _Fault.VALUE
    return _Fault.UNREACHABLE if isinstance(error, DBAPIError) else _Fault.OTHER


def _is_refused_value(error: Exception) -> bool:
    """Whether a value was refused before the database saw it."""
    return isinstance(error, StatementError) and not isinstance(error, DBAPIError)


def _broken_rule(cause: BaseException, words: str) -> TaskManagerError:
    rule = _state(cause) or getattr(cause, "sqlite_errorname", "")
    if rule in _UNIQUE:
        return Conflict(
            f"Something of that id or name exists already ({words}).", remedy="Read what is there, or use another name."
        )
    if rule in _REFERENCE:
        return InvalidInput(f"It refers to something that does not exist ({words}).")
    return InvalidInput(f"A value cannot be stored: {words}.")


def _state(cause: BaseException | None) -> str:
    return getattr(cause, "sqlstate", None) or ""


def _words(cause: BaseException) -> str:
    text = (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__
    return text.strip().splitlines()[0].rstrip(".")


def _is_full(place: str) -> bool:
    return shutil.disk_usage(Path(place).parent).free < _FULL_BELOW
