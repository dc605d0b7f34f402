"""Tasks that are executed as containerised Dagger workflows.

The names below are loaded when they are first used: importing the package itself loads nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.communication import DaggerCommunicationManager
    from task_manager.config import Settings, load_settings
    from task_manager.dagger_integration import RunState, TaskWorkflowIntegration, WorkflowState
    from task_manager.errors import TaskManagerError
    from task_manager.models import Artifact, Event, Phase, Priority, Project, StepRecord, Task, Workflow, WorkflowRun
    from task_manager.pipeline import Pipeline, Step
    from task_manager.pipeline_converter import PipelineConverter
    from task_manager.result_processor import ResultProcessor
    from task_manager.run_queries import RunQueries
    from task_manager.store import Store
    from task_manager.store.run_queries import RunFilter
    from task_manager.task_service import TaskService
    from task_manager.workflow_status import StepStatus, TaskStatus, WorkflowStatus
    from task_manager.workflow_templates import WorkflowTemplate, WorkflowTemplateRegistry

__all__ = [
    "Application",
    "Artifact",
    "DaggerCommunicationManager",
    "Event",
    "Phase",
    "Pipeline",
    "PipelineConverter",
    "Priority",
    "Project",
    "ResultProcessor",
    "RunFilter",
    "RunQueries",
    "RunState",
    "Settings",
    "Step",
    "StepRecord",
    "StepStatus",
    "Store",
    "Task",
    "TaskManagerError",
    "TaskService",
    "TaskStatus",
    "TaskWorkflowIntegration",
    "Workflow",
    "WorkflowRun",
    "WorkflowState",
    "WorkflowStatus",
    "WorkflowTemplate",
    "WorkflowTemplateRegistry",
    "load_settings",
]

_MODULES: Final = {
    "application": ("Application",),
    "communication": ("DaggerCommunicationManager",),
    "config": ("Settings", "load_settings"),
    "dagger_integration": ("RunState", "TaskWorkflowIntegration", "WorkflowState"),
    "errors": ("TaskManagerError",),
    "models": (
        "Artifact",
        "Event",
        "Phase",
        "Priority",
        "Project",
        "StepRecord",
        "Task",
        "Workflow",
        "WorkflowRun",
    ),
    "pipeline": ("Pipeline", "Step"),
    "pipeline_converter": ("PipelineConverter",),
    "result_processor": ("ResultProcessor",),
    "run_queries": ("RunQueries",),
    "store": ("Store",),
    "store.run_queries": ("RunFilter",),
    "task_service": ("TaskService",),
    "workflow_status": ("StepStatus", "TaskStatus", "WorkflowStatus"),
    "workflow_templates": ("WorkflowTemplate", "WorkflowTemplateRegistry"),
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
