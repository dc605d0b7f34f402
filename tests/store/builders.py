"""Records for tests, with what a test does not care about filled in."""

from datetime import UTC, datetime, timedelta

from task_manager.models import (
    Artifact,
    Phase,
    Project,
    StepRecord,
    Task,
    Workflow,
    WorkflowRun,
    WorkflowType,
    new_id,
)
from task_manager.store import Store, phases, projects, runs, tasks, workflows

NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
LATER = NOW + timedelta(seconds=2.5)


def a_project(**fields: object) -> Project:
    """A project that is not stored."""
    project_id = new_id("project")
    return Project.model_validate(
        {"id": project_id, "name": f"Project {project_id}", "created_at": NOW, "updated_at": NOW, **fields}
    )


def a_phase(project: Project, **fields: object) -> Phase:
    """A phase that is not stored."""
    phase_id = new_id("phase")
    about = {"id": phase_id, "project_id": project.id, "name": f"Phase {phase_id}"}
    return Phase.model_validate({**about, "created_at": NOW, "updated_at": NOW, **fields})


def a_task(project: Project, **fields: object) -> Task:
    """A task that is not stored."""
    task_id = new_id("task")
    about = {"id": task_id, "project_id": project.id, "title": f"Task {task_id}"}
    return Task.model_validate({**about, "created_at": NOW, "updated_at": NOW, **fields})


def a_workflow(task: Task, **fields: object) -> Workflow:
    """A workflow that is not stored."""
    about = {"id": new_id("workflow"), "task_id": task.id, "project_id": task.project_id, "name": "Workflow"}
    kind = {"workflow_type": WorkflowType.CONTAINERIZED_WORKFLOW, "created_at": NOW}
    return Workflow.model_validate({**about, **kind, **fields})


def a_run(workflow: Workflow, **fields: object) -> WorkflowRun:
    """A run that is not stored."""
    about = {"id": new_id("run"), "workflow_id": workflow.id, "workflow_version": workflow.version}
    of = {"task_id": workflow.task_id, "project_id": workflow.project_id}
    return WorkflowRun.model_validate({**about, **of, "created_at": NOW, "updated_at": NOW, **fields})


def a_step(run: WorkflowRun, step_id: str = "build", **fields: object) -> StepRecord:
    """A step record that is not stored."""
    return StepRecord.model_validate({"run_id": run.id, "step_id": step_id, "name": step_id, **fields})


def an_artifact(run: WorkflowRun, name: str = "build/wheel", **fields: object) -> Artifact:
    """An artifact that is not stored."""
    about = {"run_id": run.id, "step_id": name.partition("/")[0], "name": name, "path": f"runs/{run.id}/{name}"}
    return Artifact.model_validate({**about, "digest": "sha256:00", "created_at": NOW, **fields})


def stored_project(store: Store, **fields: object) -> Project:
    """A stored project."""
    return store.run_sync(projects.insert, a_project(**fields))


def stored_phase(store: Store, project: Project, **fields: object) -> Phase:
    """A stored phase."""
    return store.run_sync(phases.insert, a_phase(project, **fields))


def stored_task(store: Store, project: Project | None = None, **fields: object) -> Task:
    """A stored task, of a project of its own unless one is given."""
    return store.run_sync(tasks.insert, a_task(project or stored_project(store), **fields))


def stored_workflow(store: Store, task: Task | None = None, **fields: object) -> Workflow:
    """A stored workflow, of a task of its own unless one is given."""
    return store.run_sync(workflows.create, a_workflow(task or stored_task(store), **fields))


def stored_run(store: Store, workflow: Workflow | None = None, **fields: object) -> WorkflowRun:
    """A stored run, of a workflow of its own unless one is given."""
    return store.run_sync(runs.create, a_run(workflow or stored_workflow(store), **fields))
