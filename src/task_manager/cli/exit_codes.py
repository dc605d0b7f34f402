"""What the command line's exit codes mean."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from task_manager.workflow_status import WorkflowStatus

_WITHOUT_ENGINE = frozenset({"engine_unavailable", "engine_circuit_open"})
"""The codes of runs that never had an engine."""


class ExitCode(IntEnum):
    """The codes a command may end with."""

    SUCCEEDED = 0
    """What was asked for was done."""
    FAILED = 1
    """A run failed, timed out or was skipped, or something unexpected happened."""
    BAD_INPUT = 2
    """What was given cannot be used; nothing was changed."""
    NO_ENGINE = 3
    """No engine could be used."""
    CANCELLED = 130
    """It was cancelled, by Ctrl-C or by another command."""


def of_error(error: Exception) -> ExitCode:
    """The code for an error of the tree."""
    from task_manager import errors

    bad_input = (
        errors.InvalidInput,
        errors.InvalidTransition,
        errors.StoreUnwritable,
        errors.StoreVersionMismatch,
    )
    if isinstance(error, bad_input):
        return ExitCode.BAD_INPUT
    return ExitCode.NO_ENGINE if isinstance(error, errors.EngineError) else ExitCode.FAILED


def of_run(status: WorkflowStatus, reason_code: str | None = None) -> ExitCode:
    """The code for a run that is over.

    Args:
        status: Its last state.
        reason_code: Why it is in that state; a run that failed for want of an engine ends with `NO_ENGINE`.
    """
    if status == "succeeded":
        return ExitCode.SUCCEEDED
    if status == "cancelled":
        return ExitCode.CANCELLED
    return ExitCode.NO_ENGINE if reason_code in _WITHOUT_ENGINE else ExitCode.FAILED
