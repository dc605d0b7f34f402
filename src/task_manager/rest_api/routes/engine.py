"""The engine that executes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from task_manager.communication import EngineStatus
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


@routes.get("/engine/status", response_model=EngineStatus)
async def get_engine_status(app: App) -> EngineStatus:
    """Tell how this server's side of the engine is: its session, its circuit breaker, its last error; asks nothing."""
    return (await app.workflows()).communication.status()
