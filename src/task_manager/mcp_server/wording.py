"""What is told on every face names commands; agents are told the tools that do the same.

Commands without a tool stay: they look after the installation, which is for people.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

_ARGUMENT: Final = r"('[^']*'|\"[^\"]*\"|[^\s`'\"]+?)(?=[`.,;]*(?:\s|$))"

_TOOLS: Final[tuple[tuple[str, str], ...]] = (
    (rf"run logs {_ARGUMENT} --step {_ARGUMENT}", "get_run_logs(run_id={}, step={})"),
    (rf"run logs {_ARGUMENT}", "get_run_logs(run_id={})"),
    (rf"run start {_ARGUMENT}", "execute_task_workflow(task_id={})"),
    (rf"run rerun {_ARGUMENT} --from-step {_ARGUMENT}", "retry_run(run_id={}, from_step={})"),
    (rf"run (?:rerun|retry) {_ARGUMENT}", "retry_run(run_id={})"),
    (rf"run cancel {_ARGUMENT}", "cancel_run(run_id={})"),
    (rf"run diagnose {_ARGUMENT}", "get_run_diagnosis(run_id={})"),
    (rf"run (?:status|events) {_ARGUMENT}", "get_run(run_id={})"),
    (rf"result show {_ARGUMENT}", "get_run_result(run_id={})"),
    (rf"task update {_ARGUMENT} --source {_ARGUMENT}", "update_task(task_id={}, changes={{'source_folder': {}}})"),
    (rf"task show {_ARGUMENT}", "get_task(task_id={})"),
    (r"task create", "create_task"),
    (rf"template show {_ARGUMENT}", "get_workflow_template(template_id={})"),
    (r"template list", "list_workflow_templates"),
    (r"task list", "list_tasks"),
    (r"run list", "list_runs"),
    (r"project list", "list_projects"),
    (rf"project run {_ARGUMENT}", "execute_workflows_for_project(project_id={})"),
)
_PATTERNS: Final = tuple((re.compile(rf"`?task-manager {command}(?![\w-])`?"), call) for command, call in _TOOLS)


def in_tools(text: str) -> str:
    """A remedy, an action or a reason with tools in the place of the commands that do the same."""
    if "task-manager " not in text:
        return text
    for pattern, call in _PATTERNS:
        text = pattern.sub(partial(_call, call), text)
    return text


def _call(call: str, found: re.Match[str]) -> str:
    return call.format(*map(_value, found.groups()))


def _value(argument: str) -> str:
    """An argument as a tool takes it; what the reader is to fill in stays as it is."""
    bare = argument.strip("'\"")
    return bare if bare.isupper() else repr(bare)
