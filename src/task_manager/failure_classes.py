"""Writes the reference of failure classes from the rules.

It is `python -m task_manager.failure_classes > docs/reference/failure-classes.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import chain

from task_manager.failure_rules import FailureClass, FailureRule, Resource, built_in_rules
from task_manager.retry_policy import RetryCause
from task_manager.run_states import explanations

_PAGE = """\
# Failure classes and recovery

Written from the rules in `failure_rules.yaml`:
`python -m task_manager.failure_classes > docs/reference/failure-classes.md`.

Every failure has a class, which says what helps against it. A rule tells the class: by the code of the reason, the
command's exit code or signal, and by what its output says. The first rule that fits counts.

`task-manager run diagnose RUN` shows the class of a run's failure with the rule, the lines of the output that tell,
what changed since the task last succeeded, whether it is known to come and go, what was tried, and commands that help
next. `run status` and `result show` have the same, and so do their `--json`; a program gets it by
`TaskWorkflowIntegration.get_diagnosis`.

## Classes

{classes}

What ran out, where the class is `resource`:

{resources}

## Recovery

The retry policy (the settings `retry.*`, or a pipeline's own `retry`) says how often and after which delay a run is
tried again; `retry.on` names the failures:

{causes}

- Everything else ends the run at once: what a command does by itself, it does again.
- `infrastructure`: a lost engine is reconnected first, within the attempt (`engine_reconnects`).
- A time-out leads to another attempt with `retry.time_factor` times the limits, if that is more than 1; or with the
  same limits, if `retry.on` has `time_out`.
- Where the memory was not enough and `retry.on` has `memory`, each step of the next attempts runs alone on its worker,
  with all the memory that there is. Dagger knows no limit of memory for one step, so none is raised: where the embedded
  engine has one (`engine_limits.memory`), it holds for each process of all commands, and who reaches it ends at once.
- Where a disk is full and `retry.on` has `disk`, the embedded engine's cache is made half as large first: what was
  unused the longest goes.
- Where the engine's cache is damaged, or lacks an output of a step that it answered, the engine is started anew, what
  is damaged is removed with what builds on it, and every step runs again. So it is where a command misses a file or
  program, another step of the run was answered from the engine's cache, and that is found to be damaged.
- A run whose command fails in the same way twice in a row is not tried again: its fingerprint is the same. Times,
  durations, addresses, ids, temporary paths and process numbers do not count. Failures of the infrastructure look the
  same each time, and are tried again all the same.
- What was done stands in the event that says so (`run events`), and in the diagnosis under `tried`.

## Rules of your own

A pipeline, and so a template's `definition`, may have rules of its own; they are asked before the others:

```yaml
failures:
  - id: licence_server_busy
    failure_class: transient
    summary: All licences are in use.
    exit_codes: [3]
    patterns: ['no licence available']
    actions:
      - command: task-manager run retry {{run}}
        why: Try again when somebody has finished.
```

All conditions that are given must hold: `codes`, `exit_codes` or `signals`, `patterns` (regular expressions that fit
anywhere in a line, in capitals or not). `again` says whether another attempt may help, where it is otherwise than its
class says. In commands, `{{run}}`, `{{task}}`, `{{project}}`, `{{step}}`, `{{image}}` and `{{upstream}}` stand for the
run's own.

## Rules

{rules}
"""


def reference() -> str:
    """Return the page, in Markdown."""
    return _PAGE.format(
        classes=_list(explanations(FailureClass).items()),
        resources=_list(explanations(Resource).items()),
        causes=_list(explanations(RetryCause).items()),
        rules="\n".join(_rows(built_in_rules())),
    )


def _list(entries: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- `{name}`: {text}" for name, text in entries)


def _rows(rules: Iterable[FailureRule]) -> Iterable[str]:
    head = ("| Rule | Class | What happened | Known by |", "|---|---|---|---|")
    return chain(head, map(_row, rules))


def _row(rule: FailureRule) -> str:
    known = [f"`{code}`" for code in rule.codes]
    known += [f"exit code {code}" for code in rule.exit_codes] + [*rule.signals]
    known += ["what the output says"] if rule.patterns else []
    kind = f"{rule.failure_class} ({rule.resource})" if rule.resource else str(rule.failure_class)
    return f"| `{rule.id}` | {kind} | {rule.summary} | {', '.join(known)} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
