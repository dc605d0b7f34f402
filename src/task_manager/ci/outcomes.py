"""What became of the tasks that were run."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from task_manager.models import WorkflowRun
from task_manager.results.diagnosis import Diagnosis
from task_manager.results.schemas import WorkflowResult
from task_manager.workflow_status import WorkflowStatus


@dataclass(frozen=True)
class Outcome:
    """What became of one task.

    Attributes:
        title: The task's.
        run: Its run, which is over.
        result: Of the run; none when it never started.
        diagnosis: Why it failed; none when it did not.
        folder: The task's source folder, relative to the repository; with `/`.
    """

    title: str
    run: WorkflowRun
    result: WorkflowResult | None
    diagnosis: Diagnosis | None
    folder: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether it did."""
        return self.run.status is WorkflowStatus.SUCCEEDED

    @property
    def headline(self) -> str:
        """What came out of it, or why nothing did, in one line."""
        if self.result is not None and self.result.headline:
            return self.result.headline
        return self.run.reason.text if self.run.reason else ""

    def place(self, file: str) -> str:
        """A file of the source folder, relative to the repository."""
        return posixpath.normpath(posixpath.join(self.folder, file))


def warnings_of(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """What people should know about how the runs were executed, each text once."""
    return tuple(dict.fromkeys(text for one in outcomes for text in one.run.warnings))
