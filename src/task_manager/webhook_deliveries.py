"""Webhooks as they come in: who signed them, and what they tell."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue
from pydantic_core import from_json

from task_manager import webhook_signatures as signatures
from task_manager.errors import InvalidInput
from task_manager.trigger_records import WebhookSource

_BRANCH: Final = "refs/heads/"
_LONGEST_ID: Final = 128
_LONGEST_INDEX: Final = 10
_EVENT_HEADERS: Final = {WebhookSource.GITHUB: "x-github-event", WebhookSource.GITLAB: "x-gitlab-event"}
_ID_HEADERS: Final = {
    WebhookSource.GITHUB: ("x-github-delivery",),
    WebhookSource.GITLAB: (signatures.ID_HEADER, "idempotency-key", "x-gitlab-event-uuid"),
    WebhookSource.GENERIC: (signatures.ID_HEADER,),
}
_REPOSITORY: Final = ("/repository/full_name", "/project/path_with_namespace", "/repository")
_BRANCHES: Final = (
    "/pull_request/base/ref",
    "/workflow_run/head_branch",
    "/check_suite/head_branch",
    "/object_attributes/target_branch",
    "/object_attributes/ref",
    "/branch",
)
_COMMITS: Final = (
    "/pull_request/head/sha",
    "/workflow_run/head_sha",
    "/check_suite/head_sha",
    "/object_attributes/last_commit/id",
    "/after",
    "/commit",
)


@dataclass(frozen=True)
class Delivery:
    """A webhook.

    Attributes:
        source: Who sent it.
        id: The sender's name for it; sent again it has the same.
        event: What kind of event it tells of; may be empty.
        payload: What it tells.
        repository: The repository's whole name; none: it tells of none.
        branch: The branch, of pull and merge requests that which they go to; none: it tells of none.
        commit: The commit, of pull and merge requests the newest of theirs; none: it tells of none.
    """

    source: WebhookSource
    id: str
    event: str
    payload: JsonValue
    repository: str | None = None
    branch: str | None = None
    commit: str | None = None


def is_authentic(
    source: WebhookSource, secret: str, headers: Mapping[str, str], body: bytes, *, now: float, tolerance: float
) -> bool:
    """Whether a webhook was signed with a secret.

    Args:
        source: Who is said to have sent it.
        secret: The secret; an empty one signs nothing.
        headers: The request's, by their names in lower case.
        body: The request's.
        now: Seconds since the epoch.
        tolerance: Seconds that a signed time may differ from now.
    """
    if not secret:
        return False
    if source is WebhookSource.GITHUB:
        given = headers.get("x-hub-signature-256", "")
        return signatures.is_same(given, signatures.github_signature(secret, body))
    if source is WebhookSource.GITLAB and signatures.SIGNATURE_HEADER not in headers:
        return signatures.is_same(headers.get("x-gitlab-token", ""), secret)
    message, timestamp = headers.get(signatures.ID_HEADER, ""), headers.get(signatures.TIMESTAMP_HEADER, "")
    signed = signatures.is_signed(secret, message, timestamp, body, headers.get(signatures.SIGNATURE_HEADER, ""))
    return signed and bool(message) and signatures.is_recent(timestamp, now, tolerance)


def read_delivery(source: WebhookSource, headers: Mapping[str, str], body: bytes) -> Delivery:
    """What a webhook tells.

    Args:
        source: Who sent it.
        headers: The request's, by their names in lower case.
        body: The request's, JSON.

    Raises:
        InvalidInput: It is no JSON object.
    """
    try:
        payload = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput(
            f"The webhook's body is no JSON: {error}.", remedy="Let it be sent as application/json, not as a form."
        ) from error
    event = _event(source, headers.get(_EVENT_HEADERS.get(source, ""), ""), payload)
    return described(source, event, payload, _identifier(source, headers, body))


def described(source: WebhookSource, event: str, payload: JsonValue, identifier: str = "") -> Delivery:
    """A payload with what rules ask for.

    Raises:
        InvalidInput: It is no object.
    """
    if not isinstance(payload, dict):
        raise InvalidInput("The payload of a webhook is a JSON object.")
    event = _event(source, event, payload)
    repository, commit = _first_text(payload, _REPOSITORY), _first_text(payload, _COMMITS)
    return Delivery(source, identifier, event, payload, repository, _branch(payload), commit)


def at(document: JsonValue, pointer: str) -> Any:
    """What a document has at a place (RFC 6901); None where there is nothing."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and name.isascii() and name.isdigit():
            document = document[int(name)] if len(name) < _LONGEST_INDEX and int(name) < len(document) else None
        else:
            return None
    return document


def _identifier(source: WebhookSource, headers: Mapping[str, str], body: bytes) -> str:
    given = next((headers[name] for name in _ID_HEADERS[source] if headers.get(name)), None)
    if given is not None and len(given) <= _LONGEST_ID and given.isascii() and given.isprintable():
        return given
    # What has no name, or one that cannot be kept, is known by what it tells.
    return "sha256:" + hashlib.sha256((given or "").encode(errors="surrogatepass") + b"\n" + body).hexdigest()


def _event(source: WebhookSource, header: str, payload: JsonValue) -> str:
    """The event's name: GitHub's header, GitLab's `object_kind`, others' `type`."""
    place = {WebhookSource.GITLAB: "/object_kind", WebhookSource.GENERIC: "/type"}.get(source)
    inside = at(payload, place) if place else None
    return inside if isinstance(inside, str) else header


def _branch(payload: JsonValue) -> str | None:
    reference = at(payload, "/ref")
    if isinstance(reference, str):
        if reference.startswith(_BRANCH):
            return reference.removeprefix(_BRANCH)
        return reference if at(payload, "/ref_type") == "branch" else None
    return _first_text(payload, _BRANCHES)


def _first_text(payload: JsonValue, pointers: tuple[str, ...]) -> str | None:
    found = (at(payload, pointer) for pointer in pointers)
    return next((value for value in found if isinstance(value, str)), None)
