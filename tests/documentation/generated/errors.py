"""The reference of the errors, from their tree."""

from __future__ import annotations

from collections.abc import Iterator

from task_manager import errors
from task_manager.cli.exit_codes import of_error
from task_manager.errors import TaskManagerError
from task_manager.rest_api.problems import STATUS
from tests.documentation.generated.markdown import WRITTEN, summary, table
from tests.documentation.generated.markdown import page as page_of


def page() -> str:
    """The page, in Markdown."""
    return page_of(
        "Error codes",
        WRITTEN,
        "Every error has a code, which stays, a message, a remedy and details. They are the same for the command line "
        "(`--json` prints them on standard error), MCP, HTTP (RFC 9457) and Python. "
        "[Failure classes](failure-classes.md) tell why a run failed.",
        lines=table(("Code", "Class", "Exit code", "HTTP", "Meaning"), _rows(TaskManagerError, 0)),
    )


def _rows(kind: type[TaskManagerError], depth: int) -> Iterator[tuple[str, ...]]:
    if kind.__module__.startswith("task_manager."):
        code = int(of_error(kind.__new__(kind)))
        yield f"`{kind.code}`", "· " * depth + kind.__name__, str(code), str(_status(kind)), summary(kind)
    for below in sorted(kind.__subclasses__(), key=lambda one: (_place(one), one.__name__)):
        yield from _rows(below, depth + 1)


def _place(kind: type[TaskManagerError]) -> int:
    """Where the class stands in the module of the tree; those of other modules come last."""
    names = list(vars(errors))
    return names.index(kind.__name__) if kind.__name__ in names else len(names)


def _status(kind: type[TaskManagerError]) -> int:
    return int(next(STATUS[one] for one in kind.__mro__ if one in STATUS))
