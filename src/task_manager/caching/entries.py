"""What the cache keeps of a run, and how it is written: JSON with a version and a checksum."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Any, Final

from pydantic import AwareDatetime, Field, JsonValue, ValidationError

from task_manager.models import Artifact, KeyComponent, Record, StepRecord
from task_manager.workflow_status import Reason, WorkflowStatus

ENTRY_VERSION: Final = 1
"""Raised when entries change their form; those of other versions are not looked at."""


class UnreadableEntry(Exception):
    """An entry that is damaged, or not of this form."""


class CacheEntry(Record):
    """A run's result, with all that is shown of the run.

    Attributes:
        key: What it is found under.
        components: What the key is made of.
        run_id: The run that was executed.
        task_title: Of its task, for people.
        tags: By which it may be removed.
        status: `succeeded` or `failed`.
        reason: Why it failed; none when it did not.
        seconds: How long it took.
        engine: Kind and version of the engine.
        created_at: When the result was made.
        expires_at: Until when it counts; none for ever.
        steps: The records of its steps.
        artifacts: What it left.
        result: Its result, JSON-like.
    """

    key: str
    components: tuple[KeyComponent, ...]
    run_id: str
    task_id: str
    task_title: str = ""
    project_id: str
    template_id: str | None = None
    tags: tuple[str, ...] = ()
    status: WorkflowStatus
    reason: Reason | None = None
    seconds: float = Field(ge=0)
    engine: str | None = None
    warnings: tuple[str, ...] = ()
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    steps: tuple[StepRecord, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    result: dict[str, JsonValue]

    def is_expired(self, now: datetime) -> bool:
        """Whether it counts no more."""
        return self.expires_at is not None and self.expires_at <= now

    def component(self, name: str) -> KeyComponent | None:
        """The component of that name; none when the key has no such."""
        return next((one for one in self.components if one.name == name), None)


class RemovedEntry(Record):
    """What is remembered of an entry that was removed.

    Attributes:
        reason: A stable name: `expired`, `cleared`.
        text: The same in a sentence.
        removed_at: When.
    """

    key: str
    run_id: str
    components: tuple[KeyComponent, ...]
    reason: str
    text: str
    removed_at: AwareDatetime


def encoded(record: Record) -> dict[str, Any]:
    """A record as stores keep it."""
    body = record.model_dump_json()
    return {"version": ENTRY_VERSION, "checksum": _checksum(body), "body": body}


def decoded(data: object, key: str) -> CacheEntry:
    """The entry that a store had under a key.

    Raises:
        UnreadableEntry: It is damaged, of another version, or another key's.
    """
    try:
        entry = CacheEntry.model_validate_json(_body(data))
    except ValidationError as error:
        raise UnreadableEntry("it is not of this form") from error
    if entry.key != key:
        raise UnreadableEntry(f"it belongs to another key, {entry.key}")
    return entry


def decoded_removal(data: object) -> RemovedEntry | None:
    """What is remembered of a removed entry; none when it cannot be read."""
    try:
        return RemovedEntry.model_validate_json(_body(data))
    except (UnreadableEntry, ValidationError):
        return None


def _body(data: object) -> str:
    if not isinstance(data, dict):
        raise UnreadableEntry("it is no object")
    if data.get("version") != ENTRY_VERSION:
        raise UnreadableEntry(f"it has version {data.get('version')!r}, not {ENTRY_VERSION}")
    body, checksum = data.get("body"), data.get("checksum")
    if not isinstance(body, str) or not isinstance(checksum, str):
        raise UnreadableEntry("it has no body or no checksum")
    if not hmac.compare_digest(_checksum(body), checksum):
        raise UnreadableEntry("its checksum is wrong")
    return body


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
