"""Writes the reference of run states from the tables of `workflow_status`.

It is `python -m task_manager.run_states > docs/reference/run-states.md`.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import pairwise

from task_manager.workflow_status import TASK_STATUS_OF_RUN, TRANSITIONS, StepStatus, TaskStatus, WorkflowStatus

_PAGE = """\
# Run states

Written from the tables in `workflow_status.py`:
`python -m task_manager.run_states > docs/reference/run-states.md`.

A run is in one state at a time. It changes state in one transaction, together with one event in its log; a change that
the table does not have is refused, and changes nothing. Each state comes with a reason: a code, a sentence and details.

```mermaid
{picture}
```

## States

{states}

A state without followers is an end: the run stays in it. A way back to `queued` is a worker that hands a run back.

## What becomes of the task

When a run enters a state, its task's status becomes:

{tasks}

Where nothing is said, the task's status stays as it is. These are the statuses of a task:

{task_statuses}

## Steps

{steps}
"""


def reference() -> str:
    """Return the page, in Markdown."""
    return _PAGE.format(
        picture="\n".join(_picture()),
        states=_table(
            ("State", "What it means", "What may follow"),
            [
                (f"`{status}`", text, _names(TRANSITIONS[WorkflowStatus(status)]) or "nothing: an end")
                for status, text in explanations(WorkflowStatus).items()
            ],
        ),
        tasks=_table(
            ("The run is", "The task becomes"),
            [(f"`{run}`", f"`{task}`" if task else "") for run, task in TASK_STATUS_OF_RUN.items()],
        ),
        task_statuses=_list(explanations(TaskStatus)),
        steps=_list(explanations(StepStatus)),
    )


def explanations(enumeration: type[StrEnum]) -> dict[str, str]:
    """The text that stands below each member of an enumeration in its source, by value."""
    (definition,) = ast.parse(inspect.getsource(enumeration)).body
    found: dict[str, str] = {}
    if isinstance(definition, ast.ClassDef):
        for member, below in pairwise(definition.body):
            match member, below:
                case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                    found[enumeration[name].value] = text
    return found


def _picture() -> Iterator[str]:
    yield "stateDiagram-v2"
    yield f"    [*] --> {WorkflowStatus.CREATED}"
    for status, following in TRANSITIONS.items():
        yield from (f"    {status} --> {after}" for after in WorkflowStatus if after in following)
    yield from (f"    {status} --> [*]" for status in WorkflowStatus if status.is_terminal)


def _names(statuses: frozenset[WorkflowStatus]) -> str:
    return ", ".join(f"`{status}`" for status in WorkflowStatus if status in statuses)


def _table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [heading, ("---",) * len(heading), *rows])


def _list(texts: Mapping[str, str]) -> str:
    return "\n".join(f"- `{name}`: {text}" for name, text in texts.items())


if __name__ == "__main__":
    sys.stdout.write(reference())
