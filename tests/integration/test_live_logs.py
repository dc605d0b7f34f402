"""Logs while a step runs, on an engine that the dagger command line starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from task_manager.workflow_status import WorkflowStatus
from tests.environment.exporting_engine import exporting_program
from tests.environment.processes import until
from tests.integration.conftest import OpenWorkshop
from tests.integration.test_runs_on_the_engine import sh


@pytest.fixture
def exporting_dagger(tmp_path: Path, engine_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `dagger` on whose session the commands' output comes by OpenTelemetry."""
    for name, value in exporting_program(tmp_path, engine_data / "engine").items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("exporting_dagger")
async def test_what_a_real_engine_exports_is_in_the_steps_log_while_it_runs(
    workshop: OpenWorkshop, busybox_image: str
) -> None:
    async with workshop(engine="dagger") as shop:
        task = await shop.task("Exporting", sh("sleep 3; echo all of it", image=busybox_image))
        run = await shop.integration.execute_task_workflow(task.id)
        log = shop.integration.store.data_dir / "runs" / run.id / "only" / "stdout.log"
        await until(lambda: log.exists() and log.read_text() == "told while it runs\n")
        assert (await shop.integration.wait_for_run(run.id)).status is WorkflowStatus.SUCCEEDED
        assert log.read_text() == "all of it\n"


@pytest.mark.usefixtures("exporting_dagger")
async def test_where_somebody_else_receives_the_export_it_is_left_alone(
    workshop: OpenWorkshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    async with workshop(engine="dagger") as shop, shop.integration.communication.guard() as session:
        assert session.live_output is None
