"""Routers whose operations have much in common."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Depends
from starlette.convertors import PathConvertor, register_url_convertor

from task_manager.errors import InvalidInput, StoreError
from task_manager.rest_api.problems import InvalidRequest, UnsupportedMediaType, documented, documented_status
from task_manager.rest_api.requests import JsonRoute, check_query, check_scope

EVERYWHERE: Final[dict[int | str, dict[str, Any]]] = {
    **documented(InvalidRequest, InvalidInput, StoreError),
    401: documented_status(401, "`unauthorised`: No token, or one that is not known."),
    403: documented_status(
        403, "`forbidden`: What the token does not allow. `foreign_origin`: A page of another site."
    ),
    **documented(UnsupportedMediaType),
    413: documented_status(413, "`too_large`: The body has more bytes than are read."),
    500: documented_status(500, "`unexpected`: A fault of the server."),
}
"""What any operation may answer."""

TAGS: Final[dict[str, str]] = {}
"""What each subject is about, in the order of the document."""


class _AnyText(PathConvertor):
    """The rest of a path, with line ends, too."""

    regex = r"[\s\S]*"


register_url_convertor("text", _AnyText())


def router(subject: str, about: str, *, is_signed: bool = False) -> APIRouter:
    """A router for the operations of a subject.

    Args:
        subject: Its name, one word.
        about: What it is, one sentence.
        is_signed: Whether requests are signed instead of showing a token, and read by whoever checks that.
    """
    TAGS[subject] = about
    if is_signed:
        return APIRouter(tags=[subject], responses=EVERYWHERE)
    checks = [Depends(check_scope), Depends(check_query)]
    return APIRouter(tags=[subject], responses=EVERYWHERE, route_class=JsonRoute, dependencies=checks)
