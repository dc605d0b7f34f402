"""What requests have in common: parameters, headers, how their bodies are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from task_manager.application import Application
from task_manager.identity import IDENTITY_KEY, Identity
from task_manager.models import TokenScope
from task_manager.rest_api.problems import Forbidden, InvalidRequest, UnsupportedMediaType
from task_manager.store.paging import DEFAULT_LIMIT, MAX_LIMIT

MOST_BODY_BYTES: Final = 2 * 1024 * 1024
"""How large a request's body may be: a record of the largest size fits, whichever way its JSON is written."""

_SCOPES: Final = {"GET": TokenScope.READ, "DELETE": TokenScope.ADMIN}
_WITHOUT_NUL: Final = r"^[^\x00]*$"


# Coroutines though they await nothing: FastAPI calls plain functions in a thread, which takes longer than they do.


async def application_of(request: Request) -> Application:
    """The application that the API was made for."""
    application: Application = request.app.state.application
    return application


async def actor_of(request: Request) -> str:
    """Who asks: whom the guard found, else somebody local."""
    return str(getattr(request.state, "actor", None) or "local")


async def check_scope(request: Request) -> None:
    """Refuse what the request's token does not allow: removing needs more than changing, changing more than looking.

    Raises:
        Forbidden: It does not.
    """
    _check(request, _SCOPES.get(request.method, TokenScope.RUN))


async def check_admin(request: Request) -> None:
    """Refuse a request whose token does not allow everything.

    Raises:
        Forbidden: It does not.
    """
    _check(request, TokenScope.ADMIN)


def _check(request: Request, needed: TokenScope) -> None:
    identity = request.scope.get(IDENTITY_KEY, Identity())
    if not identity.allows(needed):
        raise Forbidden(
            f"A token of scope {identity.scope} does not allow this {request.method}.",
            remedy=f"Use one of scope {needed}: task-manager token create NAME --scope {needed}.",
            details={"scope": identity.scope.value, "needed": needed.value},
        )


async def check_query(request: Request) -> None:
    """Refuse parameters that the operation does not have: a filter whose name is mistyped would leave nothing out.

    Raises:
        InvalidRequest: There is one.
    """
    if not request.query_params:
        return
    known = set(_names_asked_by(request.scope["route"].dependant))
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        findings = [{"path": ["query", name], "message": "There is no such parameter"} for name in unknown]
        raise InvalidRequest(
            f"There is no parameter {', '.join(map(repr, unknown))} here.",
            remedy=f"There is: {', '.join(sorted(known))}." if known else "There is none.",
            details={"findings": findings},
        )


def _names_asked_by(dependant: Dependant) -> Iterator[str]:
    yield from (one.alias for one in dependant.query_params)
    for needed in dependant.dependencies:
        yield from _names_asked_by(needed)


async def longest_stream(request: Request) -> float:
    """After how many seconds a stream ends."""
    return float(request.app.state.longest_stream)


App = Annotated[Application, Depends(application_of)]
Longest = Annotated[float, Depends(longest_stream)]
Actor = Annotated[str, Depends(actor_of)]

Identifier = Annotated[
    str, Path(min_length=1, max_length=200, pattern=_WITHOUT_NUL, description="Its id; of named things the name, too.")
]
Word = Annotated[str | None, Query(min_length=1, max_length=200, pattern=_WITHOUT_NUL)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="The `next_cursor` of the page before.")]
Fields = Annotated[
    str | None,
    Query(
        pattern=r"^[a-z][a-z0-9_]*(,[a-z][a-z0-9_]*)*$",
        max_length=1000,
        description="Names of fields, separated by commas: only these are sent, as a partial view.",
    ),
]
After = Annotated[
    int | None,
    Query(ge=0, le=2**53, description="The last sequence number that the reader has; 0 for the log's beginning."),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Names this call: made again with the same key, it has the outcome of the first.",
    ),
]

FIRST_PAGE: Final = DEFAULT_LIMIT


async def body_of(request: Request, most: int) -> bytes:
    """A request's body, read as far as it may go.

    Args:
        request: The request.
        most: How many bytes it may have.

    Raises:
        HTTPException: It is too large.
    """
    parts: list[bytes] = []
    size = int(request.headers.get("content-length", 0))
    if size <= most:
        size = 0
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > most:
                break
    if size > most:
        raise HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request has a body of at most {most:,} bytes here."
        )
    return b"".join(parts)


class _JsonRequest(Request):
    """A request whose JSON is read strictly: no numbers beyond JSON's, no half characters, no endless nesting."""

    async def body(self) -> bytes:
        """The body, read as far as it may go.

        Raises:
            HTTPException: It is too large.
        """
        self._body = await body_of(self, MOST_BODY_BYTES)
        return self._body

    async def json(self) -> Any:
        """The body as data.

        Raises:
            JSONDecodeError: It is no JSON.
        """
        try:
            return from_json(self._body, allow_inf_nan=False)
        except ValueError as error:
            raise json.JSONDecodeError(str(error), "", 0) from error


def _check_media_type(request: Request) -> None:
    given = request.headers.get("content-type", "")
    name = given.partition(";")[0].strip().lower()
    is_json = name == "application/json" or (name.startswith("application/") and name.endswith("+json"))
    has_body = "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
    if has_body and not is_json:
        raise UnsupportedMediaType(
            f"A body is JSON here; this one is sent as {name or 'nothing in particular'}.",
            remedy="Send the header Content-Type: application/json with it.",
        )


class JsonRoute(APIRoute):
    """A route that reads bodies as `_JsonRequest` does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function that answers a request."""
        answer = super().get_route_handler()
        reads_body = self.body_field is not None

        async def handle(request: Request) -> Response:
            if reads_body:
                _check_media_type(request)
            return await answer(_JsonRequest(request.scope, request.receive))

        return handle
