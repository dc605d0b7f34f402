"""Every built-in template does its job on a pulled image and on the host's toolchain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from task_manager.pipeline_trial import PipelineTrial
from task_manager.workflow_templates import WorkflowTemplateRegistry, run_template_tests
from tests.integration.conftest import settings

TEMPLATES = [template.id for template in WorkflowTemplateRegistry().list()]
PREPARED_BY: Final[Mapping[str, str]] = {"node-tests": "node_in_registry", "go-tests": "go_compiled"}
"""What some templates need besides the images that all tests share: the fixture that provides it."""


@pytest.fixture
def prepared(request: pytest.FixtureRequest, template_id: str) -> None:
    if template_id in PREPARED_BY:
        request.getfixturevalue(PREPARED_BY[template_id])


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("template_id", TEMPLATES)
@pytest.mark.parametrize("images", ["pull", "host"])
async def test_a_templates_own_tests_pass_on_the_engine(
    engine_data: Path, mirrored: dict[str, object], template_id: str, images: str
) -> None:
    async with PipelineTrial(settings(engine_data, mirrored, images=images)) as trial:
        outcomes = await run_template_tests(WorkflowTemplateRegistry().get(template_id), trial.run)
    assert {outcome.test: outcome.problems for outcome in outcomes if outcome.problems} == {}
    assert any(outcome.kind == "result" for outcome in outcomes)
