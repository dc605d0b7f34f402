"""What plans mean: a pure stand-in for an engine, in which an output is a digest of all that went into it.

A container is a mapping of paths to digests. Sources are copied into it in order; a command's outputs depend on its
definition and on everything in its container. Two plans mean the same when every step ends the same way and every
output has the same digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pathspec import GitIgnoreSpec
from pydantic import JsonValue

from task_manager.conversion.paths import container_path, contains, source_path
from task_manager.pipeline import (
    CachePolicy,
    HostSource,
    InlineSource,
    Output,
    OutputType,
    Pipeline,
    Source,
    Step,
    StepSource,
    TaskSource,
    content_digest,
)
from task_manager.pipeline_converter import ExecutionPlan
from task_manager.workflow_status import StepStatus

FAILING_COMMAND = ("false",)
HOST_FILES = ("README.md", "data/a.csv", "data/b.csv", "src/pkg/main.py", "src/pkg/test_main.py")

Tree = Mapping[str, str]


@dataclass(frozen=True)
class Ending:
    """How a step ended, and what it left: each output with its files."""

    status: StepStatus
    outputs: Mapping[str, Tree] = field(default_factory=dict)


def interpret(plan: ExecutionPlan) -> dict[str, Ending]:
    """How every step of the original pipeline ends, those merged or dropped included."""
    endings: dict[str, Ending] = {}
    for layer in plan.layers:
        for name in layer:
            step = plan.pipeline.step(name)
            assert step.upstream <= endings.keys(), f"{name} runs before what it needs"
            endings[name] = _end(step, endings, plan.pipeline)
    return endings | {name: endings[other] for name, other in plan.aliases.items()}


def _end(step: Step, endings: Mapping[str, Ending], pipeline: Pipeline) -> Ending:
    if any(endings[name].status is not StepStatus.SUCCEEDED for name in step.upstream):
        return Ending(StepStatus.SKIPPED)
    files: dict[str, str] = {}
    for source in step.sources:
        _put(files, source, container_path(step.workdir, source.target), endings, pipeline)
    if step.command == FAILING_COMMAND:
        return Ending(StepStatus.FAILED)
    outputs = {output.name: _output(step, output, files) for output in step.outputs}
    missing = any(outputs[output.name] is None and not output.optional for output in step.outputs)
    there = {name: tree for name, tree in outputs.items() if tree is not None}
    return Ending(StepStatus.FAILED if missing else StepStatus.SUCCEEDED, there)


def _put(files: dict[str, str], source: Source, target: str, endings: Mapping[str, Ending], pipeline: Pipeline) -> None:
    match source:
        case InlineSource():
            files[target] = content_digest([source.contents, source.executable])
        case HostSource():
            files.update({f"{target}/{name}": content_digest(name) for name in _host_files(source)})
        case StepSource():
            tree = endings[source.step].outputs.get(source.output)
            kind = next(one.type for one in pipeline.step(source.step).outputs if one.name == source.output)
            for name, digest in (tree or {}).items():
                files[f"{target}/{name}" if kind is OutputType.DIRECTORY else target] = digest
        case TaskSource():
            files[target] = content_digest([source.task, source.artifact])


def _host_files(source: HostSource) -> list[str]:
    folder = source_path(source.path)
    assert folder is not None
    include, exclude = (GitIgnoreSpec.from_lines(patterns) for patterns in (source.include, source.exclude))
    inside = [
        name if folder == "." else name.removeprefix(folder + "/")
        for name in HOST_FILES
        if folder == "." or name.startswith(folder + "/")
    ]
    return [
        name for name in inside if (not source.include or include.match_file(name)) and not exclude.match_file(name)
    ]


def _output(step: Step, output: Output, files: Tree) -> Tree | None:
    path = container_path(step.workdir, output.path or ".")
    if step.command is None and step.script is None:
        found = {name.removeprefix(path): digest for name, digest in files.items() if contains(path, name)}
        return found or None
    made = content_digest([_definition(step), output.type, path, dict(files)])
    if output.optional and made[-1] in "01234567":
        return None  # half of the optional outputs are missing
    if output.type is OutputType.DIRECTORY:
        return {"same": content_digest([made, 1]), f"sub/{made[-4:]}": content_digest([made, 2])}
    return {"": made}


def _definition(step: Step) -> dict[str, JsonValue]:
    """All of a step that its command can see, or that asks for a run of its own."""
    fields = {"command", "script", "image", "environment", "secrets", "workdir", "network", "timeout", "retries"}
    own_run = step.cache is CachePolicy.NEVER or bool(step.caches)
    return {**step.model_dump(mode="json", include=fields), "run": step.id if own_run else ""}
