"""The records of hooks: who is told of changes of runs, and what became of each message."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from task_manager.models import Event, EventKind, Label, Record
from task_manager.pipeline import SecretReference
from task_manager.workflow_status import WorkflowStatus

GITHUB_API: Final = "https://api.github.com"

RepositoryName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", max_length=200)]


class HookForm(StrEnum):
    """What a receiver is sent."""

    WEBHOOK = "webhook"
    """A JSON document with `type`, `timestamp` and `data`, signed as Standard Webhooks."""
    CLOUDEVENTS = "cloudevents"
    """A CloudEvents 1.0 document, in HTTP's structured mode, signed as Standard Webhooks."""
    CLOUDEVENTS_BINARY = "cloudevents-binary"
    """CloudEvents 1.0 in HTTP's binary mode, with attributes as headers, signed as Standard Webhooks."""
    GITHUB_STATUS = "github-status"
    """The status of a commit, by GitHub's API."""


class DeliveryState(StrEnum):
    """How far a message is."""

    PENDING = "pending"
    """It is going to be sent, for the first time or again."""
    DELIVERED = "delivered"
    """The receiver took it."""
    DEAD = "dead"
    """It was tried as often as it is; it is sent again only when somebody asks for it."""


def _http(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment:
        raise ValueError("this must be an address such as https://example.org/hook, without a user or a fragment")
    return value


HttpAddress = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[\x21-\x7e]+$"), AfterValidator(_http)]


class Hook(Record):
    """Who is told of changes of runs.

    Attributes:
        name: Unique.
        form: What is sent.
        url: Where to; nothing else is ever asked, redirects are not followed.
        secret: Where the key of signatures is, or GitHub's token: `env:NAME` or `file:PATH`.
        project_id: Of runs of this project alone; none: of all.
        statuses: Of these states alone; none: of all.
        repository: For statuses of commits, `owner/name`.
        position: The number of the last event that was looked at.
    """

    id: str
    name: Label
    form: HookForm
    url: HttpAddress
    secret: SecretReference | None = None
    project_id: str | None = None
    statuses: tuple[WorkflowStatus, ...] = Field((), max_length=len(WorkflowStatus))
    repository: RepositoryName | None = None
    position: int = 0
    created_at: AwareDatetime

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        if self.form is HookForm.GITHUB_STATUS and self.secret is None:
            raise ValueError("GitHub's API needs a token, named by secret")
        if self.form is not HookForm.GITHUB_STATUS and self.repository is not None:
            raise ValueError("a repository belongs to a hook of the form github-status")
        return self

    def wants(self, event: Event) -> bool:
        """Whether it tells of an event."""
        if event.kind is not EventKind.RUN_STATUS or event.status is None:
            return False
        is_of_project = self.project_id in (None, event.project_id)
        return is_of_project and (not self.statuses or event.status in self.statuses)


class HookDelivery(Record):
    """What became of a message: that of an event to a hook.

    Attributes:
        sequence: The event's number.
        attempts: How often it was sent.
        due_at: When it is sent next; none: not any more.
        response: The HTTP status of the last answer; none: there was none.
        error: Why the last attempt failed; empty if it did not.
    """

    id: str
    hook_id: str
    sequence: int
    run_id: str
    status: WorkflowStatus
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    due_at: AwareDatetime | None = None
    response: int | None = None
    error: str = ""
    created_at: AwareDatetime
    finished_at: AwareDatetime | None = None
