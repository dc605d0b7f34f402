"""What hooks send: signed webhooks, CloudEvents 1.0, statuses of commits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from task_manager import webhook_signatures as signatures
from task_manager.hook_records import Hook, HookDelivery, HookForm
from task_manager.models import Event, WorkflowRun
from task_manager.workflow_status import WorkflowStatus

_JSON: Final = "application/json"
_CLOUDEVENTS: Final = "application/cloudevents+json; charset=utf-8"
_GITHUB_VERSION: Final = "2022-11-28"
_LONGEST_DESCRIPTION: Final = 140  # of GitHub's API
_GITHUB_STATES: Final = {
    WorkflowStatus.SUCCEEDED: "success",
    WorkflowStatus.FAILED: "failure",
    WorkflowStatus.TIMED_OUT: "failure",
    WorkflowStatus.CANCELLED: "error",
    WorkflowStatus.SKIPPED: "error",
    WorkflowStatus.LOST: "error",
}


@dataclass(frozen=True)
class Commit:
    """A commit of a repository `owner/name`."""

    repository: str
    sha: str


@dataclass(frozen=True)
class Change:
    """What is told.

    Attributes:
        event: A run entered a state.
        run: That run.
        task: The title of its task.
        project: The name of its project.
        url: The run's page; none: nobody said where the dashboard is.
        commit: What it is about; none: that is not known.
    """

    event: Event
    run: WorkflowRun
    task: str
    project: str
    url: str | None = None
    commit: Commit | None = None


@dataclass(frozen=True)
class Message:
    """A request: a POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def message_of(
    hook: Hook, delivery: HookDelivery, change: Change, *, secret: str | None, source: str, now: datetime
) -> Message | None:
    """The request that tells a hook of a change; None when it cannot be told of it: no commit is known.

    Args:
        hook: Who is told.
        delivery: Its id is the message's, however often it is sent.
        change: What is told.
        secret: The key of the signature, or the token; none: nothing is signed.
        source: Who tells, as CloudEvents name it.
        now: When it is sent, which is signed, too.
    """
    if hook.form is HookForm.GITHUB_STATUS:
        return _status(hook, change, secret or "")
    kind, data = f"task-manager.run.{change.event.status}", _data(change)
    headers = {"content-type": _JSON}
    attributes = {
        "specversion": "1.0",
        "id": f"{change.run.id}/{change.event.run_sequence}",
        "source": source,
        "type": kind,
        "subject": change.run.id,
        "time": change.event.time.isoformat(),
    }
    if hook.form is HookForm.CLOUDEVENTS:
        headers["content-type"] = _CLOUDEVENTS
        content = {**attributes, "datacontenttype": _JSON, "data": data}
    elif hook.form is HookForm.CLOUDEVENTS_BINARY:
        headers |= {f"ce-{name}": value for name, value in attributes.items()}
        content = data
    else:
        content = {"type": kind, "timestamp": change.event.time.isoformat(), "data": data}
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    return Message(hook.url, headers | _signed(delivery.id, body, secret, now), body)


def _signed(message_id: str, body: bytes, secret: str | None, now: datetime) -> dict[str, str]:
    timestamp = str(int(now.timestamp()))
    headers = {signatures.ID_HEADER: message_id, signatures.TIMESTAMP_HEADER: timestamp}
    if secret is not None:
        headers[signatures.SIGNATURE_HEADER] = signatures.standard_signature(secret, message_id, timestamp, body)
    return headers


def _data(change: Change) -> dict[str, Any]:
    event, run = change.event, change.run
    return {
        "sequence": event.sequence,
        "run_id": run.id,
        "task_id": run.task_id,
        "task": change.task,
        "project_id": run.project_id,
        "project": change.project,
        "status": event.status,
        "previous": event.previous,
        "attempt": event.attempt,
        "actor": event.actor,
        "reason": event.reason.model_dump(mode="json") if event.reason else None,
        "started_by": run.actor,
        "url": change.url,
    }


def _status(hook: Hook, change: Change, token: str) -> Message | None:
    if change.commit is None:
        return None
    status = WorkflowStatus(str(change.event.status))
    reason = change.event.reason.text if change.event.reason else ""
    content = {
        "state": _GITHUB_STATES.get(status, "pending"),
        "context": f"task-manager/{change.task}",
        "description": (" ".join(reason.split()) or f"The run {status.value.replace('_', ' ')}")[:_LONGEST_DESCRIPTION],
        **({"target_url": change.url} if change.url else {}),
    }
    path = f"/repos/{quote(change.commit.repository)}/statuses/{quote(change.commit.sha, safe='')}"
    headers = {
        "accept": "application/vnd.github+json",
        "authorization": f"Bearer {token}",
        "content-type": _JSON,
        "user-agent": "task-manager",
        "x-github-api-version": _GITHUB_VERSION,
    }
    return Message(hook.url.rstrip("/") + path, headers, json.dumps(content).encode())
