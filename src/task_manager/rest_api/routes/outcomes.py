"""What runs left: logs, results, diagnoses, artifacts."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import Header, Query, Response
from fastapi.responses import StreamingResponse

from task_manager.artifacts.names import artifact_called
from task_manager.errors import ArtifactMissing, InvalidInput, NotFound
from task_manager.rest_api import schemas
from task_manager.rest_api.byte_ranges import file_response
from task_manager.rest_api.problems import RangeNotSatisfiable, documented
from task_manager.rest_api.requests import App, Identifier, Word
from task_manager.rest_api.routing import router
from task_manager.store import artifacts

routes = router("outcomes", "What runs left: logs, results, diagnoses, artifacts.")

Count = Annotated[int | None, Query(ge=1, le=2**31 - 1)]
Range = Annotated[str | None, Header(max_length=100, description="One range of bytes, such as `bytes=0-1023`.")]
IfRange = Annotated[str | None, Header(max_length=200, description="The `ETag` of what a part is wanted of.")]
CONTENT: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
    for status, text in ((200, "The file."), (206, "The part that was asked for."))
}


@routes.get("/runs/{run_id}/logs", response_model=schemas.LogView, responses=documented(NotFound))
async def read_log(
    app: App,
    *,
    run_id: Identifier,
    step: Word = None,
    stream: Annotated[Literal["stdout", "stderr"], Query()] = "stdout",
    tail: Count = None,
    start: Annotated[int, Query(ge=1, le=2**31 - 1, description="The `next_line` of the part before.")] = 1,
    end: Count = None,
    pattern: Annotated[str | None, Query(max_length=1000, description="A regular expression (RE2).")] = None,
) -> schemas.LogView:
    """Read a part of what a step wrote, also while it writes: the last lines, a range, or those that fit a pattern."""
    part = await app.logs.read(run_id, step, stream, tail=tail, start=start, end=end, pattern=pattern)
    return schemas.LogView(
        run_id=part.run_id,
        step_id=part.step_id,
        stream=part.stream,
        lines=tuple(schemas.LogLine(number=number, text=text) for number, text in part.lines),
        next_line=part.next_line,
        total_lines=part.total_lines,
    )


@routes.get("/runs/{run_id}/result", response_model=schemas.Document, responses=documented(NotFound))
async def get_result(app: App, run_id: Identifier) -> schemas.Document:
    """Read the result of a run: its summary, and what its reports say."""
    result = (await (await app.workflows()).get_run(run_id)).result
    if result is None:
        raise NotFound("result of run", run_id, remedy="There is one once the run is over.")
    return result


@routes.get("/runs/{run_id}/diagnosis", response_model=schemas.DiagnosisView, responses=documented(NotFound))
async def get_diagnosis(app: App, run_id: Identifier) -> schemas.DiagnosisView:
    """Say why a run failed: its class, the lines that tell, what changed since the last success, what to do next."""
    return schemas.DiagnosisView(diagnosis=await (await app.workflows()).get_diagnosis(run_id))


@routes.get(
    "/runs/{run_id}/artifacts/{name:path}",
    response_class=StreamingResponse,
    response_model=None,
    responses=CONTENT | documented(NotFound, ArtifactMissing, RangeNotSatisfiable),
)
async def download_artifact(
    app: App,
    run_id: Identifier,
    name: Identifier,
    range: Range = None,  # noqa: A002 - the header's name
    if_range: IfRange = None,
) -> Response:
    """Download a file that a run left, `STEP/OUTPUT`, or a part of it."""
    run = await app.runs.get(run_id)
    artifact = artifact_called(name, await app.store.run(artifacts.of_run, run.id))
    if artifact.is_directory:
        raise InvalidInput(
            f"{artifact.name} is a folder; only files are downloaded.",
            remedy=f"Copy it: task-manager artifact get {run.id} {artifact.name} TARGET.",
        )
    path = await app.retention.opened(artifact)
    return await asyncio.to_thread(
        file_response, path, tag=artifact.digest, media_type=artifact.media_type, asked=range, if_range=if_range
    )
