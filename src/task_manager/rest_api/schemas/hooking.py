"""Hooks as they are sent and shown."""

from __future__ import annotations

from pydantic import Field

from task_manager.hook_records import Hook, HookDelivery, HookForm, RepositoryName
from task_manager.pipeline import SecretReference
from task_manager.rest_api.schemas.given import Given, Label, Reference
from task_manager.rest_api.schemas.lists import Shown
from task_manager.rest_api.views import PageOf
from task_manager.workflow_status import WorkflowStatus


class NewHook(Given):
    """A hook to create."""

    name: Label = Field(description="Unique.", examples=["chat"])
    form: HookForm = Field(description="What is sent.")
    url: str | None = Field(
        None, max_length=2000, description="Where to; null: GitHub's API.", examples=["https://example.org/hook"]
    )
    secret: SecretReference | None = Field(
        None, description="Where the server finds the key or token: `env:NAME` or `file:PATH`."
    )
    project_id: Reference | None = Field(None, description="Of runs of this project alone, by id or name.")
    statuses: tuple[WorkflowStatus, ...] = Field((), max_length=14, description="Of these states alone; none: of all.")
    repository: RepositoryName | None = Field(None, description="For statuses of commits, where no webhook names it.")


class HookList(Shown):
    """Hooks."""

    items: tuple[Hook, ...]


class DeliveryPage(PageOf[HookDelivery]):
    """A page of messages."""
