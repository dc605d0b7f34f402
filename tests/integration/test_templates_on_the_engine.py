"""Every built-in template does its job on a pulled image and on the host's toolchain."""

from __future__ import annotations

from pathlib import Path

import pytest

from task_manager.config import Settings
from task_manager.pipeline_trial import PipelineTrial
from task_manager.workflow_templates import WorkflowTemplateRegistry, run_template_tests

TEMPLATES = [template.id for template in WorkflowTemplateRegistry().list()]


@pytest.mark.parametrize("template_id", TEMPLATES)
@pytest.mark.parametrize("images", ["pull", "host"])
async def test_a_templates_own_tests_pass_on_the_engine(
    engine_data: Path, mirrored: dict[str, object], template_id: str, images: str
) -> None:
    settings = Settings.model_validate({"data_dir": engine_data, "engine": "embedded", **mirrored, "images": images})
    async with PipelineTrial(settings) as trial:
        outcomes = await run_template_tests(WorkflowTemplateRegistry().get(template_id), trial.run)
    assert {outcome.test: outcome.problems for outcome in outcomes if outcome.problems} == {}
    assert any(outcome.kind == "result" for outcome in outcomes)
