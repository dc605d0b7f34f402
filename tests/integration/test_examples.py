"""Examples whose pages cannot be run as commands, because their toolchain comes in an image."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from task_manager.pipeline_converter import PipelineConverter
from task_manager.pipeline_trial import PipelineTrial
from task_manager.project_file import new_project, read_project_file
from task_manager.workflow_templates import WorkflowTemplateRegistry
from tests.integration.conftest import settings

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.usefixtures("go_compiled")
async def test_the_go_modules_tests_pass(engine_data: Path, mirrored: dict[str, object]) -> None:
    folder = EXAMPLES / "go-module"
    registry = WorkflowTemplateRegistry()
    file = read_project_file(folder / "task-manager.yaml", templates=[one.id for one in registry.list()])
    (task,) = new_project(file, folder, datetime(2026, 1, 2, tzinfo=UTC)).tasks
    pipeline = PipelineConverter(registry).convert(task).pipeline
    assert pipeline is not None
    async with PipelineTrial(settings(engine_data, mirrored)) as trial:
        result = await trial.run(pipeline, folder)
    assert result["status"] == "succeeded"
    assert str(result["headline"]).startswith("1 passed")
