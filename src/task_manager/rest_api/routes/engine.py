"""The engine that executes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from task_manager.rest_api import schemas
from task_manager.rest_api.requests import App
from task_manager.rest_api.routing import router

routes = router("engine", "What executes.")


@routes.get("/engine", response_model=schemas.EngineView)
async def get_engine(
    app: App,
    thorough: Annotated[bool, Query(description="Whether the machine is examined too; takes seconds.")] = False,
) -> schemas.EngineView:
    """Tell which engine executes, why this one, and what it answers."""
    from task_manager.engine_report import report_engine

    report = await report_engine(app.settings, thorough=thorough)
    return schemas.EngineView.model_validate({**report.model_dump(mode="json"), "usable": report.usable})
