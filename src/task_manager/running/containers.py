"""A step as a container, described with the Dagger SDK."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from task_manager.communication.images import ResolvedImage
from task_manager.communication.live_output import RUN_LABEL, STEP_LABEL, LiveOutputSource
from task_manager.conversion.paths import container_path
from task_manager.errors import SourceNotFound
from task_manager.pipeline import (
    CachePolicy,
    HostSource,
    InlineSource,
    Output,
    OutputType,
    Service,
    Source,
    Step,
    StepSource,
    TaskSource,
)
from task_manager.running.records import RunContext
from task_manager.running.secret_values import secret_value

if TYPE_CHECKING:
    import dagger

NETWORK_LABEL = "task-manager.network"
EPOCH_VARIABLE = "TASK_MANAGER_EPOCH"
"""Set to a run's id where an earlier, equal step must not answer; steps may ignore it."""

_SCRIPTS = "/task-manager"
_EXECUTABLE, _READABLE = 0o755, 0o644


class StepContainers:
    """Describes the containers of one run's steps.

    Args:
        client: The session's client.
        context: The run.
        environment: Variables that every step gets; a step's own win.
        images: What stands for each image that steps and services name.
        live_output: Where the session tells what steps write while they run.
    """

    def __init__(
        self,
        client: dagger.Client,
        context: RunContext,
        environment: Mapping[str, str],
        images: Mapping[str, ResolvedImage],
        *,
        live_output: LiveOutputSource | None,
    ) -> None:
        self._client = client
        self._context = context
        self._environment = environment
        self._images = images
        self._live_output = live_output
        self._finished: dict[str, _Finished] = {}
        self._containers: dict[str, dagger.Container] = {}

    def in_session(
        self,
        client: dagger.Client,
        images: Mapping[str, ResolvedImage],
        live_output: LiveOutputSource | None,
    ) -> StepContainers:
        """The same containers in another session, where each ended step's is described anew when it is needed.

        The engine answers it from its layers, or runs it again where it has lost them.
        """
        moved = StepContainers(client, self._context, self._environment, images, live_output=live_output)
        moved._finished = self._finished  # shared: what still ends in the old session has ended for the new one too
        return moved

    def telling(self, step: Step) -> AbstractContextManager[None]:
        """Say that what the calls of the block run is the step's, for those who follow it."""
        if self._live_output is None:
            return nullcontext()
        return self._live_output.telling(self._context.run_id, step.id)

    def finished(self, step: Step, attempt: int, container: dagger.Container, outputs: frozenset[str]) -> None:
        """Remember an ended step's container and the outputs that it has, for the steps that use them."""
        self._finished[step.id] = _Finished(step, attempt, outputs)
        self._containers[step.id] = container

    async def describe(self, step: Step, attempt: int) -> dagger.Container:
        """The container of a step with its command, which is not run yet; any exit code is let through.

        Raises:
            SourceNotFound: A source is missing or lies outside the task's source folder.
            InvalidConfiguration: A secret is not there.
        """
        container = await self._before_command(step, attempt)
        if self._live_output is not None and self._live_output.uses_labels:
            container = container.with_label(RUN_LABEL, self._context.run_id).with_label(STEP_LABEL, step.id)
        arguments = command_line(step)
        return container if arguments is None else _with_command(container, arguments)

    async def _before_command(self, step: Step, attempt: int) -> dagger.Container:
        container = self._images[step.image].container
        for name, value in {**self._environment, **step.environment, **self._epoch(step, attempt)}.items():
            container = container.with_env_variable(name, value)
        if not step.network:
            container = container.with_label(NETWORK_LABEL, "none")
        container = container.with_workdir(step.workdir)
        for source in step.sources:
            container = await self._with_source(container, step, source)
        if step.script is not None:
            container = container.with_new_file(
                _script_path(step), contents=step.script.contents, permissions=_EXECUTABLE
            )
        return self._with_surroundings(container, step)

    def _epoch(self, step: Step, attempt: int) -> dict[str, str]:
        fresh = self._context.fresh or step.cache is CachePolicy.NEVER or attempt > 1
        if fresh:
            return {EPOCH_VARIABLE: f"{self._context.run_id}:{attempt}"}
        epoch = self._context.epochs.get(step.id)
        return {EPOCH_VARIABLE: epoch} if epoch else {}

    def _with_surroundings(self, container: dagger.Container, step: Step) -> dagger.Container:
        for volume in step.caches:
            container = container.with_mounted_cache(
                container_path(step.workdir, volume.target), self._client.cache_volume(f"task-manager-{volume.name}")
            )
        for name, reference in step.secrets.items():
            secret = self._client.set_secret(reference, secret_value(step, name, reference))
            container = container.with_secret_variable(name, secret)
        for service in step.services:
            container = container.with_service_binding(service.name, self._service(service))
        return container

    def _service(self, service: Service) -> dagger.Service:
        container = self._images[service.image].container
        for name, value in service.environment.items():
            container = container.with_env_variable(name, value)
        for port in service.ports:
            container = container.with_exposed_port(port)
        if service.command:
            return container.as_service(args=list(service.command))
        return container.as_service(use_entrypoint=True)

    async def _with_source(self, container: dagger.Container, step: Step, source: Source) -> dagger.Container:
        target = container_path(step.workdir, source.target)
        match source:
            case InlineSource():
                mode = _EXECUTABLE if source.executable else _READABLE
                return container.with_new_file(target, contents=source.contents, permissions=mode)
            case HostSource():
                return self._with_host_source(container, target, source)
            case StepSource():
                return await self._with_step_source(container, target, source)
            case TaskSource():
                return self._with_task_source(container, target, source)
        assert_never(source)

    def _with_host_source(self, container: dagger.Container, target: str, source: HostSource) -> dagger.Container:
        if source.optional and self._context.source_folder is None:
            return container
        path = contained_path(self._context.source_folder, source.path)
        if path.is_file():
            return container.with_file(target, self._client.host().file(str(path), no_cache=True))
        tree = self._client.host().directory(
            str(path),
            include=list(source.include),
            exclude=list(source.exclude),
            gitignore=source.gitignore,
            no_cache=True,  # a session outlives many runs, between which people edit
        )
        return container.with_directory(target, tree)

    async def _with_step_source(self, container: dagger.Container, target: str, source: StepSource) -> dagger.Container:
        ended = self._finished[source.step]
        if source.output not in ended.outputs:
            return container
        step = ended.step
        if step.id not in self._containers:
            self._containers[step.id] = await self.describe(step, ended.attempt)
        ran = self._containers[step.id]
        output = next(output for output in step.outputs if output.name == source.output)
        match output.type:
            case OutputType.STDOUT:
                return container.with_new_file(target, contents=await ran.stdout())
            case OutputType.FILE:
                return container.with_file(target, ran.file(output_path(step, output)))
            case OutputType.DIRECTORY:
                return container.with_directory(target, ran.directory(output_path(step, output)))
        assert_never(output.type)

    def _with_task_source(self, container: dagger.Container, target: str, source: TaskSource) -> dagger.Container:
        path = self._context.task_sources.get((source.task, source.artifact))
        if path is None:
            return container
        if path.is_dir():
            return container.with_directory(target, self._client.host().directory(str(path), no_cache=True))
        return container.with_file(target, self._client.host().file(str(path), no_cache=True))


@dataclass(frozen=True)
class _Finished:
    """A step that ended: in which attempt, and with which outputs."""

    step: Step
    attempt: int
    outputs: frozenset[str]


def _with_command(container: dagger.Container, arguments: list[str]) -> dagger.Container:
    import dagger

    # So that a failed command's outputs can be read.
    return container.with_exec(arguments, expect=dagger.ReturnType.ANY)


def command_line(step: Step) -> list[str] | None:
    """What is executed: the command, or the script's interpreter with the script; none when neither is given."""
    if step.script is not None:
        return [*step.script.interpreter, _script_path(step), *step.script.arguments]
    return list(step.command) if step.command is not None else None


def output_path(step: Step, output: Output) -> str:
    """Where a file or folder output lies in the container."""
    return container_path(step.workdir, output.path or ".")


def contained_path(root: Path | None, relative: str) -> Path:
    """A path below the source folder, links resolved.

    Raises:
        SourceNotFound: There is no source folder, the path does not exist, or it leads out of the folder.
    """
    if root is None:
        raise SourceNotFound(
            "The pipeline uses files of the host, but neither the task nor its project has a source folder.",
            remedy="Set one: task-manager task update TASK --source FOLDER.",
        )
    base = Path(os.path.realpath(root))
    path = Path(os.path.realpath(base / relative))
    if path != base and base not in path.parents:
        raise SourceNotFound(f"{relative!r} leads out of the source folder {base}.", details={"path": relative})
    if not path.exists():
        raise SourceNotFound(f"There is no {relative!r} in the source folder {base}.", details={"path": relative})
    return path


def _script_path(step: Step) -> str:
    return f"{_SCRIPTS}/{step.script.name}" if step.script else ""
