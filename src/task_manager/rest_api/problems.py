"""Errors as problem documents (RFC 9457): which HTTP status each class of the error tree has, and what is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, JsonValue
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from task_manager import errors
from task_manager.documents import place_text
from task_manager.errors import TaskManagerError
from task_manager.problem_documents import PROBLEM_MEDIA_TYPE, problem_document
from task_manager.structured_log import get_logger

log = get_logger(__name__)


class InvalidRequest(errors.InvalidInput):
    """A request that is not what the API's document describes; `details["findings"]` says where."""

    code = "invalid_request"


class Forbidden(TaskManagerError):
    """What the request's token does not allow."""

    code = "forbidden"


class RevisionMismatch(errors.Conflict):
    """The record has another revision than the request names."""

    code = "revision_mismatch"


class RangeNotSatisfiable(errors.InvalidInput):
    """A range of bytes that begins after the end of a file."""

    code = "range_not_satisfiable"


class UnsupportedMediaType(errors.InvalidInput):
    """A body that is not said to be JSON."""

    code = "unsupported_media_type"


class RevisionRequired(errors.InvalidInput):
    """A change that does not say which revision it changes."""

    code = "revision_required"


STATUS: Final[Mapping[type[TaskManagerError], HTTPStatus]] = MappingProxyType(
    {
        TaskManagerError: HTTPStatus.INTERNAL_SERVER_ERROR,
        errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
        InvalidRequest: HTTPStatus.BAD_REQUEST,
        UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        RevisionRequired: HTTPStatus.PRECONDITION_REQUIRED,
        RangeNotSatisfiable: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        errors.InvalidSignature: HTTPStatus.UNAUTHORIZED,
        errors.NotFound: HTTPStatus.NOT_FOUND,
        errors.NameTaken: HTTPStatus.CONFLICT,
        errors.DependencyCycle: HTTPStatus.CONFLICT,
        errors.DependenciesNotMet: HTTPStatus.CONFLICT,
        errors.WorkflowTypeConflict: HTTPStatus.CONFLICT,
        Forbidden: HTTPStatus.FORBIDDEN,
        errors.Conflict: HTTPStatus.CONFLICT,
        RevisionMismatch: HTTPStatus.PRECONDITION_FAILED,
        errors.InvalidTransition: HTTPStatus.CONFLICT,
        errors.WorkerError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.StoreFull: HTTPStatus.INSUFFICIENT_STORAGE,
        errors.ArtifactError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.ArtifactMissing: HTTPStatus.GONE,
        errors.EngineError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.ImageUnavailable: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.RegistryUnreachable: HTTPStatus.BAD_GATEWAY,
        errors.MissingPrograms: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.StepError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.OutputInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""The status of each class; one that is not here has that of the class above it."""

_CODES: Final[Mapping[int, str]] = MappingProxyType(
    {
        HTTPStatus.NOT_FOUND: "no_such_path",
        HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    }
)
"""The codes of what fails before any use case is asked."""


class Problem(BaseModel):
    """What went wrong, for people and machines (RFC 9457)."""

    type: str = Field(examples=["urn:task-manager:problem:not_found"], description="Names the kind of problem.")
    title: str = Field(examples=["Not Found"], description="The HTTP status in words.")
    status: int = Field(examples=[404], ge=400, le=599, description="The HTTP status.")
    detail: str = Field(examples=["There is no task 'task-0'."], description="What was wrong, and where.")
    code: str = Field(examples=["not_found"], description="A stable name of the kind of problem.")
    remedy: str = Field("", examples=["Did you mean task-1?"], description="What to do next; may be empty.")
    details: dict[str, JsonValue] = Field(default_factory=dict, description="Facts for machines.")


def status_of(error: type[TaskManagerError]) -> HTTPStatus:
    """The HTTP status of a class of errors."""
    return next(STATUS[kind] for kind in error.__mro__ if kind in STATUS)


def documented(*kinds: type[TaskManagerError]) -> dict[int | str, dict[str, Any]]:
    """What an operation's document says about these errors."""
    described: dict[int, list[str]] = {}
    for kind in kinds:
        described.setdefault(status_of(kind).value, []).append(f"`{kind.code}`: {(kind.__doc__ or '').splitlines()[0]}")
    return {status: documented_status(status, " ".join(texts)) for status, texts in sorted(described.items())}


def documented_status(status: int, description: str) -> dict[str, Any]:
    """What an operation's document says about answers of one status that are problems."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}}}


def answer_with_problems(app: FastAPI) -> None:
    """Answer every error of an application with a problem document."""
    app.exception_handler(TaskManagerError)(_of_tree)
    app.exception_handler(RequestValidationError)(_of_request)
    app.exception_handler(HTTPException)(_of_http)
    app.exception_handler(Exception)(_unexpected)


def problem_of(error: TaskManagerError) -> Problem:
    """An error that is told of beside what went well."""
    return Problem.model_validate_json(bytes(problem_response(error).body))


def problem_response(error: TaskManagerError) -> Response:
    """The answer that tells of an error."""
    status = status_of(type(error))
    return problem_document(status, error.code, error.message, remedy=error.remedy, details=error.details)


async def _of_tree(request: Request, error: TaskManagerError) -> Response:
    response = problem_response(error)
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_failed", method=request.method, path=request.url.path, code=error.code, error=str(error))
    return response


async def _of_request(_request: Request, error: RequestValidationError) -> Response:
    findings = [{"path": list(finding["loc"]), "message": _said(finding)} for finding in error.errors()]
    text = " ".join(f"{_place(finding['path'])}: {finding['message']}." for finding in findings)
    return problem_response(
        InvalidRequest(text, remedy="The API's document says what is expected.", details={"findings": findings})
    )


async def _of_http(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request)) or headers.get("Allow", "")
    status = HTTPStatus(error.status_code)
    code = _CODES.get(status, status.name.lower())
    detail = error.detail if error.detail and error.detail != status.phrase else status.description or status.phrase
    return problem_document(status, code, detail, headers=headers)


def _methods(request: Request) -> list[str]:
    """The methods that the request's path is asked with; the framework names those of one operation alone."""
    paths = request.app.openapi()["paths"]
    path = str(request.scope["path"]).removeprefix(request.scope.get("root_path", ""))
    # A path that is an operation's own is documented as no other's, though it may look like the name of something.
    matching = [methods for template, methods in paths.items() if compile_path(template)[0].match(path)]
    found = [paths[path]] if path in paths else matching
    allowed = {method.upper() for methods in found for method in methods}
    return sorted(allowed | {"HEAD"} if "GET" in allowed else allowed)


async def _unexpected(request: Request, _error: Exception) -> Response:
    return problem_document(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "unexpected",
        f"{request.method} {request.url.path} failed for a reason that nobody expected.",
        remedy="The server's log has the details; please report it.",
    )


def _said(finding: Mapping[str, Any]) -> str:
    reason = (finding.get("ctx") or {}).get("error")
    return f"{finding['msg']}: {reason}" if finding["type"] == "json_invalid" and reason else str(finding["msg"])


def _place(path: Sequence[str | int]) -> str:
    where, *place = path
    return f"The {where}{f', {place_text(tuple(place))}' if place else ''}"
