"""Errors as the reasons of a status."""

from __future__ import annotations

from pydantic_core import to_jsonable_python

from task_manager.errors import TaskManagerError
from task_manager.workflow_status import Reason

_KEPT_ELSEWHERE = ("stdout", "stderr")


def reason_of(error: TaskManagerError) -> Reason:
    """An error as a reason; a command's output is left out, which stands in the step's logs."""
    details = {key: to_jsonable_python(value) for key, value in error.details.items() if key not in _KEPT_ELSEWHERE}
    return Reason(code=error.code, text=f"{error.message} {error.remedy}".strip(), details=details)
