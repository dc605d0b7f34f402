"""Triggers and webhooks as they are sent and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, JsonValue

from task_manager.pipeline import SecretReference
from task_manager.rest_api.schemas.given import Document, Given, Label, Reference
from task_manager.rest_api.schemas.lists import Shown
from task_manager.rest_api.views import PageOf
from task_manager.trigger_records import MOST, Firing, Glob, Pointer, Trigger, WebhookSource

if TYPE_CHECKING:
    from task_manager.triggers import Match


class NewTrigger(Given):
    """A trigger to create."""

    name: Label = Field(description="Unique.", examples=["tests-on-push"])
    source: WebhookSource = Field(description="Who sends the webhooks.")
    secret: SecretReference = Field(
        description="Where the server finds the secret: `env:NAME` or `file:PATH`.", examples=["env:WEBHOOK_SECRET"]
    )
    events: tuple[Glob, ...] = Field((), max_length=MOST, description="Patterns of events; none: any.")
    repository: Glob | None = Field(None, description="A pattern such as `owner/*`; null: any.")
    branch: Glob | None = Field(None, description="A pattern such as `release/*`; null: any.")
    conditions: dict[Pointer, Glob] = Field(
        default_factory=dict, max_length=MOST, description="By a JSON Pointer into the payload, a pattern."
    )
    task_id: Reference | None = Field(None, description="The task to execute, by id or title.")
    project_id: Reference | None = Field(None, description="The project to execute, or to make tasks in.")
    template_id: Reference | None = Field(None, description="With a project: a task is made of it each time.")
    parameters: Document = Field(default_factory=dict, description="Values for the template's parameters.")
    payload_parameters: dict[str, Pointer] = Field(
        default_factory=dict, max_length=MOST, description="Parameters taken from the payload, by JSON Pointers."
    )


class TriggerList(Shown):
    """Triggers."""

    items: tuple[Trigger, ...]


class SamplePayload(Given):
    """A payload to try triggers with."""

    source: WebhookSource
    event: str = Field("", max_length=200, description="The event; GitLab's and generic ones are in the payload.")
    payload: Document


class MatchView(Shown):
    """Whether a payload matches a trigger."""

    trigger: Trigger
    matches: bool
    mismatches: tuple[str, ...] = Field(description="Why not, one sentence each.")
    parameters: dict[str, JsonValue] = Field(description="What would be given to what it starts.")


class MatchList(Shown):
    """Whether a payload matches each trigger of its source."""

    items: tuple[MatchView, ...]


class FiringPage(PageOf[Firing]):
    """A page of webhooks that matched triggers."""


class Received(Shown):
    """What became of a webhook."""

    source: WebhookSource
    delivery_id: str = Field(description="The sender's name for it.")
    event: str
    firings: tuple[Firing, ...] = Field(description="One for each trigger that it matched.")


def match_view(match: Match) -> MatchView:
    """A match as clients see it."""
    return MatchView(
        trigger=match.trigger,
        matches=not match.mismatches,
        mismatches=match.mismatches,
        parameters=match.parameters,
    )
