"""What runs left: results, diagnoses, artifacts."""

from __future__ import annotations

import asyncio
import mimetypes
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Header, Query, Response
from fastapi.responses import StreamingResponse

from task_manager.application import Application
from task_manager.artifacts.names import artifact_called
from task_manager.errors import ArtifactMissing, InvalidInput, NotFound
from task_manager.models import Artifact
from task_manager.rest_api import schemas
from task_manager.rest_api.byte_ranges import file_response
from task_manager.rest_api.folders import archive_response, file_below, files_below
from task_manager.rest_api.problems import RangeNotSatisfiable, documented
from task_manager.rest_api.requests import App, Identifier
from task_manager.rest_api.revisions import IfNoneMatch, etag, is_known, not_modified
from task_manager.rest_api.routing import router
from task_manager.store import artifacts

routes = router("outcomes", "What runs left: results, diagnoses, artifacts.")

Range = Annotated[str | None, Header(max_length=100, description="One range of bytes, such as `bytes=0-1023`.")]
IfRange = Annotated[str | None, Header(max_length=200, description="The `ETag` of what a part is wanted of.")]
PathInFolder = Annotated[
    str | None, Query(min_length=1, max_length=4096, pattern=r"^[^\x00]*$", description="Of a folder: this file of it.")
]
LEFT = documented(NotFound, ArtifactMissing)
BINARY = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": BINARY},
    206: {"description": "The part that was asked for.", "content": BINARY},
    304: {"description": "The reader has it already."},
}


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


@routes.get("/runs/{run_id}/folders/{name:text}", response_model=schemas.FolderListing, responses=LEFT)
async def list_folder(app: App, run_id: Identifier, name: Identifier) -> schemas.FolderListing:
    """List the files of a folder that a run left, `STEP/OUTPUT`."""
    artifact = await _artifact(app, run_id, name)
    if not artifact.is_directory:
        raise InvalidInput(f"{artifact.name} is a file, not a folder.", remedy="Download it.")
    files = await asyncio.to_thread(files_below, await app.retention.opened(artifact))
    items = tuple(schemas.FolderFile(path=path, size=file.stat().st_size) for path, file in files)
    return schemas.FolderListing(items=items)


@routes.get(
    "/runs/{run_id}/artifacts/{name:text}",
    response_class=StreamingResponse,
    response_model=None,
    responses=CONTENT | LEFT | documented(RangeNotSatisfiable),
)
async def download_artifact(
    app: App,
    run_id: Identifier,
    name: Identifier,
    *,
    path: PathInFolder = None,
    range: Range = None,  # noqa: A002 - the header's name
    if_range: IfRange = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Download a file that a run left, `STEP/OUTPUT`, or a part of it; of a folder a file of it, or all as an archive.

    An archive is made while it is sent, and has no parts.
    """
    artifact = await _artifact(app, run_id, name)
    place = await app.retention.opened(artifact)
    media_type, tag = artifact.media_type, artifact.digest
    if path is not None:
        place = await asyncio.to_thread(file_below, place, path)
        media_type, tag = mimetypes.guess_type(path)[0] or "application/octet-stream", f"{tag}/{quote(path)}"
    if is_known(if_none_match, etag(tag)):
        return not_modified(etag(tag))
    if path is None and artifact.is_directory:
        archive = artifact.name.replace("/", "-")
        return await asyncio.to_thread(archive_response, place, name=quote(archive), tag=tag)
    return await asyncio.to_thread(file_response, place, tag=tag, media_type=media_type, asked=range, if_range=if_range)


async def _artifact(app: Application, run_id: str, name: str) -> Artifact:
    run = await app.runs.get(run_id)
    return artifact_called(name, await app.store.run(artifacts.of_run, run.id))
