"""Errors over HTTP, as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"


def problem_document(
    status: int,
    code: str,
    detail: str,
    *,
    remedy: str = "",
    details: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer that tells what went wrong.

    Args:
        status: The HTTP status.
        code: A stable name of the kind of problem.
        detail: What was wrong, and where.
        remedy: What to do next.
        details: Facts for machines.
        headers: More headers of the answer.
    """
    document = {
        "type": f"urn:task-manager:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "remedy": remedy,
        "details": dict(details or {}),
    }
    # ASCII, since what is told of may hold characters that UTF-8 cannot write.
    content = json.dumps(document, default=str, allow_nan=False)
    return Response(content, status, dict(headers or {}), PROBLEM_MEDIA_TYPE)
