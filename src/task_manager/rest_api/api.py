"""The API as an application that a server mounts at `/api/v1`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from fastapi import FastAPI

from task_manager.application import Application
from task_manager.rest_api.documentation import document, operation_id
from task_manager.rest_api.problems import answer_with_problems
from task_manager.rest_api.routes import (
    cache,
    containers,
    engine,
    events,
    hooks,
    logs,
    outcomes,
    phases,
    projects,
    queue,
    runs,
    schedules,
    statistics,
    tasks,
    templates,
    triggers,
    webhooks,
    workflows,
)

PREFIX: Final = "/api/v1"
"""Where the API is mounted."""

_SUBJECTS: Final = (
    projects,
    phases,
    tasks,
    templates,
    workflows,
    runs,
    logs,
    outcomes,
    events,
    cache,
    queue,
    engine,
    containers,
    statistics,
    triggers,
    webhooks,
    hooks,
    schedules,
)


LONGEST_STREAM: Final = 3600.0
"""Seconds after which an event stream ends and its client comes back: so its right to listen is looked at again."""


def create_app(application: Application, *, longest_stream: float = LONGEST_STREAM) -> FastAPI:
    """The API of an application.

    Args:
        application: It is entered as long as requests are answered.
        longest_stream: Seconds after which an event stream ends.

    Returns:
        An ASGI application, to be mounted at `PREFIX`.
    """
    app = FastAPI(
        title="Task Manager",
        version=version("task-manager-dagger"),
        docs_url=None,  # the pages that FastAPI offers load from foreign hosts
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    app.state.application = application
    app.state.longest_stream = longest_stream
    for subject in _SUBJECTS:
        app.include_router(subject.routes)
    answer_with_problems(app)
    app.openapi = lambda: document(app, prefix=PREFIX)  # type: ignore[method-assign]
    return app
