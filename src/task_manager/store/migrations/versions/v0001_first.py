"""The first version: projects, phases, tasks, workflows, runs, steps, events, artifacts, results."""

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

from task_manager.errors import StoreError

revision = "0001"
down_revision = None

# Spelled out here, whatever the columns of later versions are.
_ID = String(64).with_variant(String(64, collation="C"), "postgresql")
_TIME = DateTime(timezone=True)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")
_DOCUMENT = JSON(none_as_null=True)


def upgrade() -> None:
    """Create all tables."""
    _create_projects()
    _create_phases()
    _create_tasks()
    _create_task_dependencies()
    _create_workflows()
    _create_runs()
    _create_artifacts()
    _create_events()
    _create_results()
    _create_steps()


def downgrade() -> None:
    """Refused: there is nothing before the first version.

    Raises:
        StoreError: Always.
    """
    raise StoreError(
        "A database cannot go back to an earlier version.",
        remedy="Restore a backup that was made with the earlier version of this software.",
    )


def _create_projects() -> None:
    op.create_table(
        "projects",
        Column("id", _ID, nullable=False),
        Column("created_at", _TIME, nullable=False),
        Column("updated_at", _TIME, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("name", String(200), nullable=False),
        Column("description", Text, nullable=False),
        Column("source_folder", Text, nullable=True),
        Column("metadata", _DOCUMENT, nullable=False),
        PrimaryKeyConstraint("id", name="pk_projects"),
        UniqueConstraint("name", name="uq_projects_name"),
    )


def _create_phases() -> None:
    op.create_table(
        "phases",
        Column("id", _ID, nullable=False),
        Column("created_at", _TIME, nullable=False),
        Column("updated_at", _TIME, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("project_id", _ID, nullable=False),
        Column("name", String(200), nullable=False),
        Column("order", Integer, nullable=False),
        ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_phases_project_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("id", name="pk_phases"),
        UniqueConstraint("project_id", "name", name="uq_phases_project_id_name"),
    )


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        Column("id", _ID, nullable=False),
        Column("created_at", _TIME, nullable=False),
        Column("updated_at", _TIME, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("project_id", _ID, nullable=False),
        Column("phase_id", _ID, nullable=True),
        Column("title", String(200), nullable=False),
        Column("description", Text, nullable=False),
        Column("type", String(100), nullable=False),
        Column("priority", String(32), nullable=False),
        Column("status", String(32), nullable=False),
        Column("labels", _DOCUMENT, nullable=False),
        Column("source_folder", Text, nullable=True),
        Column("template_id", Text, nullable=True),
        Column("inputs", _DOCUMENT, nullable=False),
        Column("pipeline", _DOCUMENT, nullable=True),
        Column("acceptance_criteria", _DOCUMENT, nullable=False),
        Column("metadata", _DOCUMENT, nullable=False),
        ForeignKeyConstraint(["phase_id"], ["phases.id"], name="fk_tasks_phase_id", ondelete="CASCADE"),
        ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_tasks_project_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_phase_id", "tasks", ["phase_id"])
    op.create_index("ix_tasks_project_id_id", "tasks", ["project_id", "id"])


def _create_task_dependencies() -> None:
    op.create_table(
        "task_dependencies",
        Column("task_id", _ID, nullable=False),
        Column("depends_on", _ID, nullable=False),
        Column("position", Integer, nullable=False),
        ForeignKeyConstraint(["depends_on"], ["tasks.id"], name="fk_task_dependencies_depends_on", ondelete="CASCADE"),
        ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_task_dependencies_task_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("task_id", "depends_on", name="pk_task_dependencies"),
    )
    op.create_index("ix_task_dependencies_depends_on", "task_dependencies", ["depends_on"])


def _create_workflows() -> None:
    op.create_table(
        "workflows",
        Column("id", _ID, nullable=False),
        Column("task_id", _ID, nullable=False),
        Column("project_id", _ID, nullable=False),
        Column("version", Integer, nullable=False),
        Column("name", String(200), nullable=False),
        Column("workflow_type", String(32), nullable=False),
        Column("template_id", Text, nullable=True),
        Column("template_version", Text, nullable=True),
        Column("parameters", _DOCUMENT, nullable=False),
        Column("pipeline", _DOCUMENT, nullable=True),
        Column("function", Text, nullable=True),
        Column("result_type", String(32), nullable=False),
        Column("definition", _DOCUMENT, nullable=True),
        Column("explanation", Text, nullable=False),
        Column("warnings", _DOCUMENT, nullable=False),
        Column("task_digest", Text, nullable=False),
        Column("created_at", _TIME, nullable=False),
        ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_workflows_project_id", ondelete="CASCADE"),
        ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_workflows_task_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("id", name="pk_workflows"),
        UniqueConstraint("task_id", "version", name="uq_workflows_task_id_version"),
    )
    op.create_index("ix_workflows_project_id_id", "workflows", ["project_id", "id"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        Column("id", _ID, nullable=False),
        Column("created_at", _TIME, nullable=False),
        Column("updated_at", _TIME, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("workflow_id", _ID, nullable=False),
        Column("workflow_version", Integer, nullable=False),
        Column("task_id", _ID, nullable=False),
        Column("project_id", _ID, nullable=False),
        Column("status", String(32), nullable=False),
        Column("reason", _DOCUMENT, nullable=True),
        Column("attempt", Integer, nullable=False),
        Column("actor", Text, nullable=False),
        Column("skip_cache", Boolean, nullable=False),
        Column("parameters", _DOCUMENT, nullable=False),
        Column("engine", Text, nullable=True),
        Column("warnings", _DOCUMENT, nullable=False),
        Column("started_at", _TIME, nullable=True),
        Column("finished_at", _TIME, nullable=True),
        ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_runs_project_id", ondelete="CASCADE"),
        ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_runs_task_id", ondelete="CASCADE"),
        ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name="fk_runs_workflow_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_project_id_id", "runs", ["project_id", "id"])
    op.create_index("ix_runs_status_id", "runs", ["status", "id"])
    op.create_index("ix_runs_task_id_id", "runs", ["task_id", "id"])
    op.create_index("ix_runs_workflow_id", "runs", ["workflow_id"])


def _create_artifacts() -> None:
    op.create_table(
        "artifacts",
        Column("run_id", _ID, nullable=False),
        Column("name", Text, nullable=False),
        Column("step_id", Text, nullable=False),
        Column("path", Text, nullable=False),
        Column("is_directory", Boolean, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("digest", Text, nullable=False),
        Column("media_type", Text, nullable=False),
        Column("created_at", _TIME, nullable=False),
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_artifacts_run_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("run_id", "name", name="pk_artifacts"),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        Column("sequence", _SERIAL, autoincrement=True, nullable=False),
        Column("run_id", _ID, nullable=False),
        Column("run_sequence", Integer, nullable=False),
        Column("task_id", _ID, nullable=False),
        Column("project_id", _ID, nullable=False),
        Column("time", _TIME, nullable=False),
        Column("kind", String(32), nullable=False),
        Column("actor", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("previous", String(32), nullable=True),
        Column("status", String(32), nullable=True),
        Column("step_id", Text, nullable=True),
        Column("step_status", String(32), nullable=True),
        Column("reason", _DOCUMENT, nullable=True),
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_events_run_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("sequence", name="pk_events"),
        UniqueConstraint("run_id", "run_sequence", name="uq_events_run_id_run_sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_project_id_sequence", "events", ["project_id", "sequence"])
    op.create_index("ix_events_run_id_sequence", "events", ["run_id", "sequence"])


def _create_results() -> None:
    op.create_table(
        "results",
        Column("run_id", _ID, nullable=False),
        Column("data", _DOCUMENT, nullable=False),
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_results_run_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("run_id", name="pk_results"),
    )


def _create_steps() -> None:
    op.create_table(
        "steps",
        Column("run_id", _ID, nullable=False),
        Column("step_id", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("position", Integer, nullable=False),
        Column("status", String(32), nullable=False),
        Column("image", Text, nullable=False),
        Column("image_digest", Text, nullable=True),
        Column("attempts", Integer, nullable=False),
        Column("started_at", _TIME, nullable=True),
        Column("finished_at", _TIME, nullable=True),
        Column("exit_code", Integer, nullable=True),
        Column("error", Text, nullable=False),
        Column("stdout_tail", Text, nullable=False),
        Column("stderr_tail", Text, nullable=False),
        Column("log", Text, nullable=True),
        ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_steps_run_id", ondelete="CASCADE"),
        PrimaryKeyConstraint("run_id", "step_id", name="pk_steps"),
    )
