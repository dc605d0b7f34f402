"""How records are shown: whole, or only some of their fields; and pages of them."""

from __future__ import annotations

from typing import Any, Final, Generic, Protocol, TypeVar

from fastapi import Response
from pydantic import BaseModel, Field

from task_manager.errors import InvalidInput, near_misses
from task_manager.rest_api.revisions import ETAG_HEADER, etag, is_known, not_modified

PARTIAL_MEDIA_TYPE: Final = "application/vnd.task-manager.partial+json"

T = TypeVar("T", bound=BaseModel)


class Identified(Protocol):
    """A record that has an id."""

    @property
    def id(self) -> str:
        """Its id."""

    def model_dump_json(self) -> str:
        """It as JSON."""


class PageOf(BaseModel, Generic[T]):
    """A part of a list."""

    items: tuple[T, ...] = Field(description="The records, in the list's order.")
    next_cursor: str | None = Field(None, description="What to ask for the next page with; null on the last one.")


def partial_view(*, tagged: bool = False) -> dict[int | str, dict[str, Any]]:
    """What an operation's document says about views of some fields.

    Args:
        tagged: Whether there is an entity tag, too.
    """
    view: dict[str, Any] = {
        "content": {PARTIAL_MEDIA_TYPE: {"schema": {"type": "object", "description": "With `fields`: those alone."}}}
    }
    if not tagged:
        return {200: view}
    return {200: {**view, "headers": ETAG_HEADER}, 304: {"description": "The reader has it already."}}


def shown(record: BaseModel, fields: str | None, *, tag: int | str | None = None, known: str | None = None) -> Response:
    """A record, or some fields of it.

    Args:
        record: What is shown.
        fields: Names separated by commas; none: all of them.
        tag: The revision or digest that its entity tag is made of.
        known: The request's `If-None-Match`.

    Raises:
        InvalidInput: It has no such field.
    """
    headers = {} if tag is None else {"ETag": etag(tag)}
    if tag is not None and is_known(known, etag(tag)):
        return not_modified(etag(tag))
    if fields is None:
        return Response(record.model_dump_json(), headers=headers, media_type="application/json")
    names = _names(fields, type(record))
    return Response(record.model_dump_json(include=names), headers=headers, media_type=PARTIAL_MEDIA_TYPE)


def created(record: Identified, collection: str) -> Response:
    """A record that was made, with its address and, if it has a revision, its entity tag.

    Args:
        record: The record.
        collection: The path of its kind.
    """
    headers = {"Location": f"/api/v1/{collection}/{record.id}"}
    if (revision := getattr(record, "revision", None)) is not None:
        headers["ETag"] = etag(revision)
    return Response(record.model_dump_json(), 201, headers, media_type="application/json")


def shown_page(page: PageOf[T], fields: str | None, model: type[T]) -> Response:
    """A page of records, or of some fields of them.

    Raises:
        InvalidInput: They have no such field.
    """
    if fields is None:
        return Response(page.model_dump_json(), media_type="application/json")
    wanted: Any = {"items": {"__all__": _names(fields, model)}, "next_cursor": True}
    return Response(page.model_dump_json(include=wanted), media_type=PARTIAL_MEDIA_TYPE)


def _names(fields: str, model: type[BaseModel]) -> set[str]:
    names = fields.split(",")
    known = [*model.model_fields, *model.model_computed_fields]
    unknown = [name for name in names if name not in known]
    if unknown:
        near = near_misses(unknown[0], known)
        raise InvalidInput(
            f"There is no field {unknown[0]!r} to show.",
            remedy=f"Did you mean {', '.join(near)}?" if near else f"There are {', '.join(known)}.",
            details={"unknown": unknown, "known": sorted(known)},
        )
    return set(names)
