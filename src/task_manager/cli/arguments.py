"""Arguments and options that several commands have, with their completion."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from task_manager.cli.session import Session

if TYPE_CHECKING:
    from task_manager.store import Store

_OFFERED = 100


def parse_inputs(pairs: Sequence[str]) -> dict[str, Any]:
    """`name=value` pairs as inputs; a value that reads as JSON is that, any other is text.

    Raises:
        InvalidInput: A pair has no `=` or no name.
    """
    from task_manager.errors import InvalidInput

    inputs: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name.strip():
            raise InvalidInput(
                f"{pair!r} is not of the form NAME=VALUE.", remedy="For example: --input epochs=5 --input name=Ada"
            )
        inputs[name.strip()] = _value(text)
    return inputs


def given(**values: Any) -> dict[str, Any]:
    """Those values that were given: all but None."""
    return {name: value for name, value in values.items() if value is not None}


def confirm_removal(session: Session, what: str, *, yes: bool) -> None:
    """Ask whether something is to be removed, where somebody can answer.

    Raises:
        InvalidInput: Nobody can answer, and `--yes` was not given.
        typer.Abort: The answer was no.
    """
    from task_manager.errors import InvalidInput

    if yes:
        return
    if session.json or not sys.stdin.isatty():
        raise InvalidInput(f"This would remove {what}.", remedy="Add --yes if that is meant.")
    typer.confirm(f"Remove {what}?", abort=True)


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text


def _completion(names: Callable[[Store], Iterable[tuple[str, str]]]) -> Callable[[str], list[tuple[str, str]]]:
    """What the shell offers: `(word, what it is)`; nothing where the store cannot be read."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        from task_manager.config import load_settings
        from task_manager.errors import TaskManagerError
        from task_manager.store import Store

        try:
            settings, _ = load_settings()
            if not settings.data_dir.is_dir():
                return []
            with Store.open(settings.data_dir, settings.database_url) as store:
                return [(word, about) for word, about in names(store) if word.startswith(incomplete)]
        except TaskManagerError:
            return []

    return complete


def _projects(store: Store) -> list[tuple[str, str]]:
    from task_manager.store import projects

    return [(project.name, project.id) for project in store.run_sync(projects.list_, limit=_OFFERED).items]


def _tasks(store: Store) -> list[tuple[str, str]]:
    from task_manager.store import tasks

    return [(task.id, task.title) for task in store.run_sync(tasks.list_, limit=_OFFERED).items]


def _runs(store: Store) -> list[tuple[str, str]]:
    from task_manager.store import run_queries

    return [(run.id, run.status.value) for run in store.run_sync(run_queries.list_, limit=_OFFERED).items]


def complete_templates(incomplete: str) -> list[tuple[str, str]]:
    """The templates that the shell offers."""
    from task_manager.config import load_settings
    from task_manager.errors import TaskManagerError
    from task_manager.workflow_templates import WorkflowTemplateRegistry

    try:
        registry = WorkflowTemplateRegistry(load_settings()[0].templates_dir)
    except TaskManagerError:
        return []
    return [(one.id, one.name) for one in registry.list() if one.id.startswith(incomplete)]


ProjectArgument = Annotated[
    str, typer.Argument(metavar="PROJECT", help="Its id or name.", autocompletion=_completion(_projects))
]
TaskArgument = Annotated[
    str, typer.Argument(metavar="TASK", help="Its id or title.", autocompletion=_completion(_tasks))
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Its id; or a task, for its latest run.", autocompletion=_completion(_runs))
]
TemplateArgument = Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its id.", autocompletion=complete_templates)]
ProjectOption = Annotated[
    str | None,
    typer.Option("--project", "-p", metavar="PROJECT", help="Of this project.", autocompletion=_completion(_projects)),
]
TemplateOption = Annotated[
    str | None,
    typer.Option(
        "--template", "-t", metavar="TEMPLATE", help="The template to use.", autocompletion=complete_templates
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="NAME=VALUE", help="A value for the workflow; JSON or text. Repeatable."),
]
Limit = Annotated[int, typer.Option(min=1, max=500, help="How many at most.")]
Cursor = Annotated[str | None, typer.Option(help="Where to go on: the cursor that the list before ended with.")]
SkipCache = Annotated[bool, typer.Option("--skip-cache", help="Run every step anew.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Do not wait: print the run and leave it to the worker.")]
IdempotencyKey = Annotated[
    str | None, typer.Option("--key", metavar="KEY", help="Names this call: made again, it returns what it made.")
]
Revision = Annotated[int | None, typer.Option(min=1, help="Refuse when it was changed since this revision.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
