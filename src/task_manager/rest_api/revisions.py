"""Entity tags made of revisions: a reader keeps what has not changed, a writer changes only what it has read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any, Final, Protocol

from fastapi import Header, Response

from task_manager.errors import Conflict
from task_manager.rest_api.problems import RevisionMismatch, RevisionRequired

IfMatch = Annotated[
    str | None,
    Header(
        max_length=500,
        description='The `ETag` of what is changed, such as `"3"`; `*` changes whatever is there.',
        examples=['"1"', "*"],
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(max_length=500, description="The `ETag` that the reader has; the answer is 304 while it still holds."),
]

ETAG_HEADER: Final[dict[str, Any]] = {
    "ETag": {"description": "The record's revision, for `If-Match`.", "schema": {"type": "string"}}
}

TAGGED: Final[dict[int | str, dict[str, Any]]] = {200: {"headers": ETAG_HEADER}}
"""What an operation's document says about the tag of what was changed."""

KEPT_BY_READERS: Final[dict[int | str, dict[str, Any]]] = {
    **TAGGED,
    304: {"description": "The reader has it already."},
}
"""What an operation's document says about the tag of what is read whole."""


class Revised(Protocol):
    """A record that has a revision."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def revision(self) -> int:
        """Its revision."""


def etag(revision: int | str) -> str:
    """The entity tag of a revision, or of a digest."""
    return f'"{revision}"'


def is_known(given: str | None, tag: str) -> bool:
    """Whether a reader has what this tag stands for, by its `If-None-Match`."""
    if given is None:
        return False
    return given.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in given.split(","))


def not_modified(tag: str) -> Response:
    """The answer to a reader that has it already."""
    return Response(status_code=304, headers={"ETag": tag})


def expected_revision(record: Revised, given: str | None, *, required: bool = True) -> int | None:
    """The revision that a change may find, by its `If-Match`; None for any.

    Raises:
        RevisionRequired: None was given.
        RevisionMismatch: The record has another one.
    """
    if given is None and required:
        raise RevisionRequired(
            f"A change of {record.id} must say which revision it changes.",
            remedy=f"Send the header If-Match: {etag(record.revision)}, the ETag of what you have read.",
            details={"id": record.id, "revision": record.revision},
        )
    if given is None or given.strip() == "*":
        return None
    if etag(record.revision) not in (tag.strip() for tag in given.split(",")):
        raise RevisionMismatch(
            f"{record.id} has revision {record.revision} now; the request is about {given}.",
            remedy="Read it again, and repeat the change on what is there.",
            details={"id": record.id, "revision": record.revision},
        )
    return record.revision


@contextlib.contextmanager
def changing(given: str | None) -> Iterator[None]:
    """Tell of a change that somebody made meanwhile as of a revision that does not match.

    Raises:
        RevisionMismatch: Somebody else was first.
    """
    try:
        yield
    except Conflict as error:
        if given is None:
            raise
        raise RevisionMismatch(error.message, remedy=error.remedy, details=error.details) from error
