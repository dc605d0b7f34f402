"""The records of triggers: what a webhook starts, and what became of the deliveries."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Protocol, Self

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints, model_validator

from task_manager.models import Label, Record
from task_manager.pipeline import SecretReference

Pointer = Annotated[str, StringConstraints(pattern=r"^/", max_length=500)]
"""A place in a document (RFC 6901)."""

Glob = Annotated[str, StringConstraints(min_length=1, max_length=500)]
"""A pattern of the shell: `*` stands for any characters, `?` for one, `[abc]` for one of these."""

MOST: Annotated[int, "events, conditions or parameters of a trigger"] = 50


class Target(Protocol):
    """What is started: a task, a project, or a task made of a template."""

    @property
    def task_id(self) -> str | None:
        """The task that is executed."""

    @property
    def project_id(self) -> str | None:
        """The project that is executed, or in which tasks are made of the template."""

    @property
    def template_id(self) -> str | None:
        """The template of a task that is made, and executed, each time."""


def check_target(target: Target, kind: str, *, has_parameters: bool) -> None:
    """Refuse what names no target, or more than one.

    Raises:
        ValueError: It does.
    """
    if (target.task_id is None) == (target.project_id is None):
        raise ValueError(f"a {kind} starts either a task or a project")
    if target.template_id is not None and target.project_id is None:
        raise ValueError("a template needs the project that its tasks are made in")
    if target.task_id is None and target.template_id is None and has_parameters:
        raise ValueError("a whole project takes no parameters; name a task or a template")


class WebhookSource(StrEnum):
    """Who sends webhooks, and how these are signed."""

    GITHUB = "github"
    """GitHub: an HMAC of the body, `X-Hub-Signature-256`."""
    GITLAB = "gitlab"
    """GitLab: the secret token, `X-Gitlab-Token`, or its signing token, `webhook-signature`."""
    GENERIC = "generic"
    """Anybody: Standard Webhooks, `webhook-id`, `webhook-timestamp` and `webhook-signature`."""


class Trigger(Record):
    """A rule: which webhooks start what.

    Attributes:
        name: Unique.
        source: Who sends them.
        secret: Where the secret is that they are signed with: `env:NAME` or `file:PATH` of the server.
        events: Patterns of the events' names, of which one must match; none: any event.
        repository: A pattern of the repository's whole name, such as `owner/name`; none: any.
        branch: A pattern of the branch; none: any, and events that have none.
        conditions: By a place in the payload, a pattern of the text that must be there.
        task_id: The task that is executed.
        project_id: The project that is executed, or in which tasks are made of the template.
        template_id: The template of a task that is made, and executed, for each delivery.
        parameters: Values for the template's parameters.
        payload_parameters: Places in the payload of more of them.
    """

    id: str
    name: Label
    source: WebhookSource
    secret: SecretReference
    events: tuple[Glob, ...] = Field((), max_length=MOST)
    repository: Glob | None = None
    branch: Glob | None = None
    conditions: dict[Pointer, Glob] = Field(default_factory=dict, max_length=MOST)
    task_id: str | None = None
    project_id: str | None = None
    template_id: str | None = None
    parameters: dict[str, JsonValue] = Field(default_factory=dict, max_length=MOST)
    payload_parameters: dict[str, Pointer] = Field(default_factory=dict, max_length=MOST)
    created_at: AwareDatetime

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        check_target(self, "trigger", has_parameters=bool(self.parameters or self.payload_parameters))
        return self


class Firing(Record):
    """What became of a delivery that matched a trigger.

    Attributes:
        delivery_id: The sender's name for it; sent again, it starts nothing again.
        commit: What it tells of; none: of no commit.
        run_ids: The runs that it started.
        error: Why it started none; empty if it did.
    """

    trigger_id: str
    delivery_id: str
    event: str
    repository: str | None = None
    branch: str | None = None
    commit: str | None = None
    run_ids: tuple[str, ...] = ()
    error: str = ""
    received_at: AwareDatetime
