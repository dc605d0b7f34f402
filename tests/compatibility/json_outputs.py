"""What each command prints with `--json`, as the kinds of its values: called for on a small project of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from task_manager.cli.app import app
from task_manager.cli.output import Output, json_ready
from task_manager.models import utc_now
from task_manager.store import Store, hooks, schedules

NOT_CALLED: Final[Mapping[str, str]] = {
    "server": "lasts",
    "worker run": "lasts",
    "mcp": "lasts, and speaks the protocol",
    "demo": "is what `project run` gives",
    "container run": "lasts",
    "container start": "holds a container; its record is that of `container create`",
    "container stop": "needs one that is held; its record is that of `container create`",
    "container logs": "needs one that was held; prints lines as they are",
    "workflow schema": "prints a schema, which is compared by itself",
    "schema pipeline": "prints a schema, which is compared by itself",
    "schema result": "prints a schema of results",
    "run watch": "prints the events of `run events`, and then what `run status` does",
    "run cancel": "needs a run under way; prints its record, as `run retry` does",
}
"""Commands whose output is not looked at, and why."""

_SECRET: Final = ("--secret", "env:HOOK_SECRET")


class Scribe:
    """Calls commands, and keeps what they give to be printed."""

    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}
        self.records: dict[str, Any] = {}
        self._given: list[object] = []

    def document(self, data: object, *_shown: object) -> None:
        """Stands for `Output.document` and `Output.line`."""
        self._given.append(data)

    def call(self, command: str, *arguments: str) -> Any:
        """Call a command, note the shape of what it gives, and return that as JSON-like data."""
        self._given.clear()
        ended = CliRunner().invoke(app, [*command.split(), *arguments, "--json"])
        if not self._given:
            raise AssertionError(f"{command} gave nothing: {ended.exit_code} {ended.output} {ended.exception!r}")
        given = self._given[-1] if len(self._given) == 1 else list(self._given)
        self.shapes[command] = self.shape(given)
        return json_ready(given)

    def shape(self, value: object) -> Any:
        """The kinds of the parts of a value; a record by its name, with its schema beside."""
        if isinstance(value, BaseModel):
            name = type(value).__name__
            self.records.setdefault(name, type(value).model_json_schema(mode="serialization"))
            return name
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {one.name: self.shape(getattr(value, one.name)) for one in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {str(key): self.shape(part) for key, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return _merged([self.shape(part) for part in value])
        return _kind(value)


def _merged(shapes: list[Any]) -> list[Any]:
    """Each shape of the parts of a list once."""
    return [json.loads(text) for text in sorted({json.dumps(shape, sort_keys=True) for shape in shapes})]


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float) and not isinstance(value, Enum):
        return "number"
    return "string"


def json_outputs() -> dict[str, Any]:
    """The shapes of what commands print, and the schemas of the records in them."""
    with tempfile.TemporaryDirectory(prefix="task-manager-json-") as name, _surroundings(Path(name)) as scribe:
        _call_all(scribe, Path(name))
    schemas = {name: bare(schema) for name, schema in sorted(scribe.records.items())}
    return {"commands": dict(sorted(scribe.shapes.items())), "records": schemas}


def bare(schema: Any) -> Any:
    """A JSON Schema without titles and descriptions."""
    if isinstance(schema, list):
        return [bare(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    texts = {"title", "description"}
    return {key: bare(one) for key, one in schema.items() if not (key in texts and isinstance(one, str))}


@contextmanager
def _surroundings(folder: Path) -> Iterator[Scribe]:
    """A data folder and a working folder of its own; nothing is printed."""
    scribe = Scribe()
    (folder / "work" / "source").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("TASK_MANAGER_", "OTEL_", "GITHUB_"))]:
            patch.delenv(name)
        settings = {"DATA_DIR": str(folder / "data"), "WORKER": "here", "ENGINE": "embedded", "IMAGES": "host"}
        for name, value in settings.items():
            patch.setenv(f"TASK_MANAGER_{name}", value)
        patch.setenv("HOME", str(folder))
        patch.setenv("HOOK_SECRET", "a-secret-of-the-hook")
        patch.chdir(folder / "work")
        patch.setattr(Output, "document", scribe.document)
        patch.setattr(Output, "line", scribe.document)
        yield scribe


def _call_all(scribe: Scribe, folder: Path) -> None:
    _project(scribe, folder)
    hook: str = scribe.call("hook add", "out", "--url", "http://127.0.0.1:9/", *_SECRET)["hook"]["id"]
    scribe.call("task run", "Say")
    run_id = _run_id(scribe)
    failed = _failed_run(scribe)
    _runs(scribe, run_id, failed)
    _results(scribe, run_id, failed, folder)
    _hooks(scribe, hook, folder)
    _triggers(scribe)
    _schedules(scribe, folder)
    _rest(scribe)
    scribe.call("container create", "busybox")
    box: str = scribe.call("container list")["items"][0]["id"]
    scribe.call("container status", box)
    _removals(scribe, box)


def _project(scribe: Scribe, folder: Path) -> None:
    scribe.call("project create", "p", "--source", str(folder / "work" / "source"))
    scribe.call("phase create", "p", "Build")
    scribe.call("phase update", "Build", "--project", "p", "--order", "2")
    scribe.call("phase list", "p")
    pipeline = folder / "work" / "pipeline.yaml"
    says = {"id": "only", "image": "busybox", "command": ["sh", "-c", "echo out > /out.txt; echo said"]}
    step = {**says, "outputs": [{"name": "out", "path": "/out.txt"}]}
    pipeline.write_text(json.dumps({"steps": [step]}))
    scribe.call("task create", "p", "Say", "--pipeline", str(pipeline), "--phase", "Build")
    broken = {"id": "only", "image": "busybox", "command": ["false"]}
    (folder / "work" / "broken.yaml").write_text(json.dumps({"steps": [broken]}))
    scribe.call("task create", "p", "Break", "--pipeline", str(folder / "work" / "broken.yaml"))
    scribe.call("task update", "Say", "--description", "It says something.")
    for command, *arguments in (
        ("project list",),
        ("project show", "p"),
        ("project export", "p"),
        ("project status", "p"),
        ("project update", "p", "--description", "d"),
        ("project pause", "p"),
        ("project resume", "p"),
        ("task list", "--project", "p"),
        ("task show", "Say"),
        ("workflow create", "Say"),
        ("workflow show", "Say"),
        ("workflow list", "--project", "p"),
        ("workflow plan", "Say"),
        ("workflow validate", str(pipeline)),
    ):
        scribe.call(command, *arguments)


def _run_id(scribe: Scribe) -> str:
    newest: str = scribe.call("run list")["items"][0]["id"]
    return newest


def _failed_run(scribe: Scribe) -> str:
    scribe.call("run start", "Break")
    return _run_id(scribe)


def _runs(scribe: Scribe, run_id: str, failed: str) -> None:
    for command, *arguments in (
        ("run status", run_id),
        ("run events", run_id),
        ("run logs", run_id),
        ("run stats",),
        ("run diagnose", failed),
        ("run retry", failed),
        ("run rerun", run_id),
        ("queue list",),
        ("queue why", run_id),
        ("project run", "p"),
        ("project cancel", "p"),
        ("worker status",),
        ("worker stop",),
    ):
        scribe.call(command, *arguments)


def _hooks(scribe: Scribe, hook: str, folder: Path) -> None:
    with Store.open(folder / "data") as store:
        store.run_sync(hooks.gather, hook, now=utc_now())
    scribe.call("hook list")
    message: str = scribe.call("hook deliveries", "out")["items"][0]["id"]
    scribe.call("hook redeliver", message)
    scribe.call("hook remove", "out", "--yes")


def _triggers(scribe: Scribe) -> None:
    Path("payload.json").write_text(json.dumps({"any": "thing"}))
    for command, *arguments in (
        ("trigger add", "in", "--source", "generic", *_SECRET, "--project", "p"),
        ("trigger list",),
        ("trigger test", "payload.json", "--source", "generic"),
        ("trigger firings", "in"),
        ("trigger remove", "in", "--yes"),
    ):
        scribe.call(command, *arguments)


def _schedules(scribe: Scribe, folder: Path) -> None:
    added: str = scribe.call("schedule add", "hourly", "--cron", "@hourly", "--task", "Say")["schedule"]["id"]
    with Store.open(folder / "data") as store:
        late = utc_now() + timedelta(days=1)
        store.run_sync(schedules.begin, added, "one", now=late, until=late)
    for command, *arguments in (
        ("schedule list",),
        ("schedule show", "hourly"),
        ("schedule update", "hourly", "--cron", "@daily"),
        ("schedule pause", "hourly"),
        ("schedule resume", "hourly"),
        ("schedule next", "hourly"),
        ("schedule remove", "hourly", "--yes"),
    ):
        scribe.call(command, *arguments)


def _results(scribe: Scribe, run_id: str, failed: str, folder: Path) -> None:
    for command, *arguments in (
        ("result show", run_id),
        ("result list",),
        ("result compare", run_id, failed),
        ("artifact list", run_id),
        ("artifact get", run_id, "out", "--to", str(folder / "work" / "got")),
        ("artifact open-path", run_id, "out"),
        ("artifact verify", run_id),
        ("artifact prune", "--dry-run"),
        ("cache stats",),
        ("cache explain", run_id),
        ("cache predict", "Say"),
        ("cache list",),
        ("cache verify",),
        ("cache clear", "--dry-run"),
    ):
        scribe.call(command, *arguments)


def _rest(scribe: Scribe) -> None:
    project = {"name": "ci", "source_folder": "source", "tasks": [_ci_task()]}
    Path("task-manager.yaml").write_text(json.dumps(project))
    for command, *arguments in (
        ("ci run",),
        ("ci export", "gitlab-ci"),
        ("template list",),
        ("template show", "shell-command"),
        ("template validate",),
        ("template test", "shell-command", "--pipelines-only"),
        ("engine info",),
        ("engine doctor",),
        ("engine cache stats",),
        ("engine cache prune", "--dry-run"),
        ("engine cache verify",),
        ("mcp install", "cursor", "--print"),
        ("token create", "reader"),
        ("token list",),
        ("token revoke", "reader"),
        ("config show",),
        ("config path",),
    ):
        scribe.call(command, *arguments)


def _ci_task() -> dict[str, Any]:
    return {"key": "one", "title": "One", "template": "shell-command", "inputs": {"script": "true", "image": "busybox"}}


def _removals(scribe: Scribe, box: str) -> None:
    scribe.call("container delete", box)
    scribe.call("task delete", "Break", "--yes")
    scribe.call("phase delete", "Build", "--project", "p", "--yes")
    scribe.call("project delete", "p", "--yes")
