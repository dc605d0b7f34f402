"""Every built-in template does its job on a pulled image and on the host's toolchain."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from task_manager.config import Settings
from task_manager.pipeline import Pipeline
from task_manager.pipeline_trial import PipelineTrial
from task_manager.workflow_templates import WorkflowTemplateRegistry, run_template_tests
from tests.environment.go_image import COMPILED
from tests.environment.registry import Registry

TEMPLATES = [template.id for template in WorkflowTemplateRegistry().list()]
PREPARED_BY: Final[Mapping[str, str]] = {"node-tests": "node_in_registry", "go-tests": "go_compiled"}
"""What some templates need besides the images that all tests share: the fixture that provides it."""


@pytest.fixture(scope="session")
def node_in_registry(registry: Registry, node_layout: Path) -> str:
    return registry.push(node_layout, "library/node", "22-slim")


@pytest.fixture(scope="session")
def go_compiled(
    registry: Registry,
    go_layout: Path,
    engine_data: Path,
    mirrored: dict[str, object],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Go's image, and its standard library compiled in the volume that the template's steps share."""
    registry.push(go_layout, "library/golang", "1.26")
    step = {
        "id": "fill",
        "image": "golang:1.26",
        "command": ["cp", "-a", f"/{COMPILED}/.", "/cache"],
        "caches": [{"name": "go-build", "target": "/cache"}],
    }
    filling = Pipeline.model_validate({"steps": [step]})

    async def fill() -> Mapping[str, Any]:
        async with PipelineTrial(settings(engine_data, mirrored)) as trial:
            return await trial.run(filling, tmp_path_factory.mktemp("nothing"))

    assert asyncio.run(fill())["status"] == "succeeded"


@pytest.fixture
def prepared(request: pytest.FixtureRequest, template_id: str) -> None:
    if template_id in PREPARED_BY:
        request.getfixturevalue(PREPARED_BY[template_id])


def settings(engine_data: Path, mirrored: dict[str, object], **changes: object) -> Settings:
    return Settings.model_validate({"data_dir": engine_data, "engine": "embedded", **mirrored, **changes})


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
