"""The cache of results: how it does, what it has, why, and its upkeep."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from task_manager.cache_figures import CacheFigures
from task_manager.cache_queries import CacheExplanation, CachePrediction
from task_manager.cached_runs import age_seconds
from task_manager.errors import InvalidInput, NotFound
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import documented
from task_manager.rest_api.requests import FIRST_PAGE, App, Cursor, Identifier, Limit, Word
from task_manager.rest_api.routing import router
from task_manager.workflow_cache import Selection, Verification

routes = router("cache", "Results that are kept, so that equal runs need not be executed again.")

Component = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00]*$",
        description="Whose key has it: NAME, NAME=DIGEST, NAME/PART or NAME/PART=VALUE, such as "
        "images/python:3.12-slim.",
    ),
]
Age = Annotated[
    str | None,
    Query(min_length=1, max_length=20, description="A number and s, min, h, d or w, such as 12h."),
]


async def selection(
    app: App,
    *,
    project_id: Word = None,
    task_id: Word = None,
    template_id: Word = None,
    tag: Word = None,
    run_id: Word = None,
    key: Word = None,
    component: Component = None,
    older_than: Age = None,
) -> Selection:
    """The entries that a request means: those to which all that is given applies.

    Raises:
        NotFound: There is no such project.
        InvalidInput: The age cannot be read.
    """
    project = None if project_id is None else (await app.tasks.get_project(project_id)).id
    age = age_seconds(older_than)
    if older_than is not None and age is None:
        raise InvalidInput(f"{older_than!r} is no age.", remedy="Write a number and s, min, h, d or w, such as 12h.")
    named = {
        "task": task_id,
        "template": template_id,
        "tag": tag,
        "run": run_id,
        "key": key,
        "component": component,
    }
    return Selection.of(named, project=project, older_than=age)


Selected = Annotated[Selection, Depends(selection)]


@routes.get("/cache", response_model=CacheFigures, responses=documented(NotFound))
async def get_cache_statistics(app: App, project_id: Word = None) -> CacheFigures:
    """Tell how the cache has done: hits, misses by reason, seconds saved, and how its tiers are."""
    project = None if project_id is None else (await app.tasks.get_project(project_id)).id
    return await app.cache.figures(project)


@routes.get("/cache/entries", response_model=schemas.CacheEntryList, responses=documented(NotFound))
async def list_cache_entries(
    app: App, selected: Selected, limit: Limit = FIRST_PAGE, cursor: Cursor = None
) -> schemas.CacheEntryList:
    """List the results that are kept, newest first."""
    page, total = await app.cache.page(selected, limit=limit, cursor=cursor)
    shown = tuple(schemas.cache_entry(entry, tiers) for entry, tiers in page.items)
    return schemas.CacheEntryList(items=shown, total=total, next_cursor=page.next_cursor)


@routes.delete("/cache/entries", response_model=schemas.CacheCleared, responses=documented(NotFound))
async def clear_cache(
    app: App,
    selected: Selected,
    every: Annotated[bool, Query(description="Must be said where nothing else says which.")] = False,
    dry_run: Annotated[bool, Query(description="Only tell what would be removed.")] = False,
) -> schemas.CacheCleared:
    """Remove results that are kept; what they were made of stays known, so that later runs can be explained."""
    if selected == Selection() and not (every or dry_run):
        raise InvalidInput("Nothing says which results are meant.", remedy="Say which, or every=true for all.")
    removed = await app.cache.clear(selected, dry_run=dry_run)
    return schemas.CacheCleared(items=tuple(map(schemas.cache_entry, removed)), dry_run=dry_run)


@routes.post("/cache/verify", response_model=Verification)
async def verify_cache(app: App) -> Verification:
    """Read every entry; remove those that are damaged."""
    return await app.cache.verify()


@routes.get("/runs/{run_id}/cache", response_model=CacheExplanation, responses=documented(NotFound))
async def explain_cache(app: App, run_id: Identifier) -> CacheExplanation:
    """Say what the cache was for a run, and what differs from the nearest earlier one: files, parameters, images."""
    return await app.cache.explain(run_id)


@routes.get("/tasks/{task_id}/cache", response_model=CachePrediction, responses=documented(NotFound))
async def predict_cache(app: App, task_id: Identifier) -> CachePrediction:
    """Say what the cache would be for a task if it were started now: for each step hit or miss, why, seconds saved."""
    return await app.cache.predict(task_id)
