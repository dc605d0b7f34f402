"""`task-manager ci`: a project's tasks in continuous integration."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from rich.text import Text

from task_manager.cli.arguments import SkipCache, given
from task_manager.cli.choices import AnnotationsName, CacheUseName, ServiceName
from task_manager.cli.command import command, group
from task_manager.cli.exit_codes import ExitCode
from task_manager.cli.output import write_file
from task_manager.cli.session import Session

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.ci.outcomes import Outcome
    from task_manager.dagger_integration import RunState
    from task_manager.errors import InvalidInput
    from task_manager.models import Project
    from task_manager.project_file import ProjectFile

PROJECT_FILE: Final = "task-manager.yaml"

_ENDINGS: Final = (".yaml", ".yml", ".toml", ".json")
_CACHE: Final = {
    "read-write": {"enabled": True, "read_only": False},
    "read-only": {"enabled": True, "read_only": True},
    "off": {"enabled": False},
}

Target = Annotated[
    str,
    typer.Argument(metavar="[PROJECT|FILE]", help="A project file, or the id or name of a project."),
]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        metavar="KEY",
        help="Only this task of the file and those it depends on; repeatable.",
        show_default=False,
    ),
]
CacheUse = Annotated[
    CacheUseName | None,
    typer.Option("--cache", help="How results of earlier runs are used; else as the settings say.", show_default=False),
]
JunitFile = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write tasks and tests as JUnit XML.")]
SarifFile = Annotated[Path | None, typer.Option("--sarif", metavar="FILE", help="Write checkers' findings as SARIF.")]
SummaryFile = Annotated[Path | None, typer.Option("--summary", metavar="FILE", help="Write a summary in Markdown.")]
ResultsFolder = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="FOLDER",
        help="Take results of other jobs from here first, and leave all here in the end.",
    ),
]
Annotations = Annotated[
    AnnotationsName,
    typer.Option(help="Print remarks on files: in GitHub's form where that service runs this, or always, or never."),
]


@dataclass(frozen=True)
class _Reports:
    """Where reports are written; the summary of a GitHub step is appended to what is there."""

    junit: Path | None
    sarif: Path | None
    summary: Path | None
    step_summary: Path | None

    def prepare(self) -> None:
        """Make the folders of the files, before anything is run.

        Raises:
            InvalidInput: A file cannot be written there.
        """
        from task_manager.errors import InvalidInput

        for path in (self.junit, self.sarif, self.summary, self.step_summary):
            if path is None:
                continue
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("ab"):
                    pass
            except OSError as error:
                raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from error

    def write(self, project: str, outcomes: Sequence[Outcome]) -> tuple[InvalidInput, ...]:
        """Write them all.

        Returns:
            Why files cannot be written any more: that is no reason to keep the outcomes back.
        """
        from task_manager.ci.reports import as_junit, as_sarif
        from task_manager.ci.summary import as_summary

        def summary() -> bytes:
            return as_summary(project, outcomes).encode("utf-8", "replace")

        makers: list[tuple[Path | None, Callable[[], bytes]]] = [
            (self.junit, partial(as_junit, project, outcomes)),
            (self.sarif, partial(as_sarif, project, outcomes)),
            (self.summary, summary),
            (self.step_summary, summary),
        ]
        tried = [self._written(path, make()) for path, make in makers if path is not None]
        return tuple(filter(None, tried))

    def _written(self, path: Path, content: bytes) -> InvalidInput | None:
        from task_manager.errors import InvalidInput

        try:
            write_file(path, content, append=path == self.step_summary)
        except InvalidInput as error:
            return error
        return None


def add_commands(app: typer.Typer) -> None:
    """Add the group `ci`."""
    ci = group(app, "ci", "Run a project's tasks in continuous integration.")
    command(
        ci,
        "run",
        example="task-manager ci run --junit build/junit.xml --sarif build/findings.sarif\n"
        "task-manager ci run task-manager.yaml --task tests --cache read-only",
        uses_engine=True,
    )(run)
    command(
        ci,
        "export",
        example="task-manager ci export github-actions --output .github/workflows/tasks.yaml\n"
        "task-manager ci export gitlab-ci > .gitlab-ci.yml",
    )(export)


async def export(
    session: Session,
    service: Annotated[ServiceName, typer.Argument(help="What the pipeline is for.")],
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The project file, within the working folder.")] = Path(
        PROJECT_FILE
    ),
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to; by default printed.")] = None,
    engine: Annotated[
        Literal["dagger", "embedded"],
        typer.Option(help="What executes there: Dagger in Docker, or the embedded engine."),
    ] = "dagger",
    install: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="What installs the task manager there.")
    ] = None,
) -> None:
    """Write a pipeline that runs a project file's tasks: a job for each, after those that it depends on.

    Call it in the root of the repository. A job's command is one that people can run by hand, too.
    """
    from task_manager.ci.pipelines import PIPELINES, PipelineOptions

    project = _read(file)
    options = PipelineOptions(_path_within(file), engine, **given(install=install))
    text = PIPELINES[service](project, options)
    if output is None:
        session.output.show({"service": service, "pipeline": text}, text.rstrip("\n"))
        return
    write_file(output, text)
    session.output.show({"service": service, "written": output}, str(output))


def _read(file: Path, templates: Collection[str] | None = None) -> ProjectFile:
    """What the file says.

    Raises:
        InvalidInput: It is not there, something in it is wrong, or it has no tasks.
    """
    from task_manager.errors import InvalidInput
    from task_manager.project_file import read_project_file

    if not file.exists():
        raise InvalidInput(
            f"There is no project file {file}.",
            remedy=f"Write one of a project: task-manager project export PROJECT --output {PROJECT_FILE}",
        )
    project = read_project_file(file, templates=templates)
    if not project.tasks:
        raise InvalidInput(f"{file} has no tasks: there is nothing to run.", remedy="Add one below `tasks`.")
    return project


def _path_within(file: Path) -> str:
    """The file relative to the working folder.

    Raises:
        InvalidInput: It lies elsewhere.
    """
    from task_manager.errors import InvalidInput

    try:
        return file.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        raise InvalidInput(
            f"{file} does not lie in the working folder.", remedy="Call this in the root of the repository."
        ) from None


async def run(
    session: Session,
    target: Target = PROJECT_FILE,
    *,
    keys: Keys = None,
    cache: CacheUse = None,
    skip_cache: SkipCache = False,
    junit: JunitFile = None,
    sarif: SarifFile = None,
    summary: SummaryFile = None,
    annotations: Annotations = "auto",
    results: ResultsFolder = None,
) -> None:
    """Run a project's tasks here, wait for their ends, and tell of them in the forms that services read.

    Exit codes: 0 all succeeded; 1 a task failed, timed out or was lost, or a report could not be written in the end;
    2 something given cannot be used, nothing was run; 3 no engine could be used; 130 cancelled. Reports are written
    whenever the runs came to their ends, and a summary is also appended to the file that GITHUB_STEP_SUMMARY names.
    With --task, reports are of those tasks alone.
    """
    from task_manager.cli.execution import carry_out, finish
    from task_manager.cli.run_views import project_data, project_report
    from task_manager.config import WorkerMode

    step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    reports = _Reports(junit, sarif, summary, Path(step_summary) if step_summary else None)
    reports.prepare()
    # It is over when it is over: nothing stays behind.
    session = session.with_options(json=session.json, worker=WorkerMode.HERE, cache=_CACHE[cache] if cache else None)
    async with session.application() as application, _passed_on(results, application.store.data_dir):
        chosen = await _choose(application, target, keys or [])
        project = chosen.project
        workflows = await application.workflows()
        started = await workflows.execute_workflows_for_project(project.id, skip_cache=skip_cache)
        states = await carry_out(session, application, started)
        outcomes = [await _outcome(application, project, title, state) for title, state in states]
    shown = [one for one in outcomes if chosen.titles is None or one.title in chosen.titles]
    unwritten = reports.write(chosen.name, shown)
    _annotate(outcomes, annotations, as_json=session.json)
    session.output.show(project_data(project, states), Text(), project_report(states, session.output.width))
    for error in unwritten:
        session.output.error(error)
    finish([state for _, state in states])
    if unwritten:
        raise typer.Exit(ExitCode.FAILED)


@dataclass(frozen=True)
class _Chosen:
    """What is run.

    Attributes:
        name: Of the project, for reports: also where a part of it alone is run.
        titles: The tasks that reports are about; none: all.
    """

    project: Project
    name: str
    titles: frozenset[str] | None = None


@contextlib.asynccontextmanager
async def _passed_on(folder: Path | None, data_dir: Path) -> AsyncIterator[None]:
    """Take results from a folder, and leave results there once the runs are over."""
    from task_manager.ci.results_folder import leave_results, take_results

    if folder is not None:
        await asyncio.to_thread(take_results, folder, data_dir)
    yield
    if folder is not None:
        await asyncio.to_thread(leave_results, folder, data_dir)


async def _choose(application: Application, target: str, keys: Sequence[str]) -> _Chosen:
    """The project of that name, or the one that the file states, stored in place of what an earlier call stored."""
    from task_manager.errors import InvalidInput

    path = Path(target)
    if target.endswith(_ENDINGS) or await asyncio.to_thread(path.is_file):
        return await _store_file(application, path, keys)
    if keys:
        raise InvalidInput("--task names tasks of a project file.", remedy="Name the file, too, or leave --task out.")
    project = await application.tasks.get_project(target)
    return _Chosen(project, project.name)


async def _store_file(application: Application, path: Path, keys: Sequence[str]) -> _Chosen:
    from task_manager.artifacts import remove_run_folders
    from task_manager.ci.selection import part_of
    from task_manager.models import utc_now
    from task_manager.project_file import new_project
    from task_manager.renewed_projects import store_renewed

    file = _read(path, {template.id for template in application.templates.list()})
    folder = await asyncio.to_thread(path.resolve)
    new = new_project(part_of(file, keys) if keys else file, folder.parent, utc_now())
    stored = await application.store.run(store_renewed, new, "ci")
    await asyncio.to_thread(remove_run_folders, application.store.data_dir, stored.removed_runs)
    titles = frozenset(entry.title for entry in file.tasks if entry.key in keys) if keys else None
    return _Chosen(stored.project, file.name, titles)


async def _outcome(application: Application, project: Project, title: str, state: RunState) -> Outcome:
    from task_manager.ci.outcomes import Outcome
    from task_manager.result_processor import parse_result
    from task_manager.store import tasks

    task = await application.store.run(tasks.get, state.run.task_id)
    source = task.source_folder or project.source_folder
    result = parse_result(state.result) if state.result is not None else None
    return Outcome(title, state.run, result, state.diagnosis, _in_repository(source) if source else "")


def _in_repository(folder: str) -> str:
    """A folder relative to the checked out repository: as the service tells, else the working folder."""
    root = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR") or str(Path.cwd())
    return Path(os.path.relpath(folder, root)).as_posix()


def _annotate(outcomes: Sequence[Outcome], wanted: AnnotationsName, *, as_json: bool) -> None:
    """Print remarks; where standard output carries the one JSON document, on standard error, which is read as well."""
    from task_manager.ci.annotations import annotations_of

    if wanted == "github" or (wanted == "auto" and os.environ.get("GITHUB_ACTIONS") == "true"):
        stream = sys.stderr if as_json else sys.stdout
        stream.writelines(f"{one.command}\n" for one in annotations_of(outcomes))
        stream.flush()
