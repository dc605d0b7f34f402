"""What a run's result depends on, as the components of its cache key."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from task_manager.artifacts import artifacts_called
from task_manager.caching.keys import (
    canonical,
    component,
    pipeline_component,
    secrets_component,
    selection_digest,
    values_component,
)
from task_manager.communication import DaggerCommunicationManager
from task_manager.config import Settings
from task_manager.config.masking import SECRET_NAME
from task_manager.errors import TaskManagerError
from task_manager.models import KeyComponent, Project, Task, Workflow, WorkflowRun
from task_manager.pipeline import HOST_TOOLCHAIN, HostSource, Pipeline, Step, TaskSource
from task_manager.results.schemas import SCHEMA_VERSION
from task_manager.running.secret_values import read_secret
from task_manager.source_listing import Listing
from task_manager.store import Store, artifacts, runs, tasks
from task_manager.workflow_cache import WorkflowCache
from task_manager.workflow_status import WorkflowStatus

PROCESSOR_VERSION: Final = 1
"""Raised when results are made otherwise than before."""

STEPS: Final = "steps"
"""The component that is no part of the key: each step's own digest, to tell which steps change with it."""

_KEY_FILE: Final = "digest-key"
_KEY_BYTES: Final = 32


IMAGE_UNKNOWN: Final = "image_unknown"
"""The code of a key that is unknown because an image's digest is."""

ENGINE_UNKNOWN: Final = "engine_unknown"
"""The code of a key that is unknown because the engine is."""


class KeyUnknown(Exception):
    """A key cannot be computed.

    Args:
        code: A stable name for why.
        text: The same in a sentence.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class Subject:
    """A run, or what one would be, with everything that it is about.

    Attributes:
        run: None where nothing was started.
        listing: What its source folder holds; none without one.
    """

    run: WorkflowRun | None
    workflow: Workflow
    task: Task
    project: Project
    listing: Listing | None

    @property
    def source_folder(self) -> Path | None:
        """The folder as it is now; none without one."""
        named = self.task.source_folder or self.project.source_folder
        return Path(named) if named else None


class RunKeys:
    """Computes the components of runs' keys.

    Args:
        store: Where the runs of other tasks are.
        communication: Tells of engine and images.
        settings: What steps get beside their own.
        cache: Remembers images.
    """

    def __init__(
        self, store: Store, communication: DaggerCommunicationManager, settings: Settings, cache: WorkflowCache
    ) -> None:
        self._store = store
        self._communication = communication
        self._settings = settings
        self._cache = cache
        self._key: bytes | None = None

    async def components(self, subject: Subject, images: Mapping[str, str] | None = None) -> tuple[KeyComponent, ...]:
        """What a run's result depends on; the last component is `steps`, which is no part of the key.

        Args:
            subject: The run.
            images: What its images turned out to be; none: they are looked up.

        Raises:
            KeyUnknown: Something cannot be told.
        """
        workflow, pipeline = subject.workflow, subject.workflow.pipeline
        resolved = images if images is not None else await self.images(_references(pipeline))
        inputs = await self._inputs(subject.task, pipeline)
        secret, sources, code = await self._read(workflow, subject.listing)
        parts = (
            pipeline_component(pipeline) if pipeline else component("pipeline", {"function": workflow.function or ""}),
            values_component("parameters", workflow.parameters),
            component("sources", sources),
            component("images", resolved),
            self._environment(),
            secret,
            component("inputs", inputs),
            await self._engine(),
            component("platform", {"platform": f"{sys.platform}/{platform.machine()}"}),
            component("template", {"id": workflow.template_id or "", "version": workflow.template_version or ""}),
            component("code", code),
            component("processor", {"schema": str(SCHEMA_VERSION), "version": str(PROCESSOR_VERSION)}),
        )
        around = canonical({one.name: one.digest for one in parts if one.name not in ("pipeline", "sources", "inputs")})
        return (*parts, component(STEPS, _step_digests(pipeline, sources, inputs, around)))

    async def _read(
        self, workflow: Workflow, listing: Listing | None
    ) -> tuple[KeyComponent, dict[str, str], dict[str, str]]:
        """What is in files: secrets, sources and code; without any, no thread is asked for them."""

        def read() -> tuple[KeyComponent, dict[str, str], dict[str, str]]:
            pipeline = workflow.pipeline
            return self._secrets(pipeline), _sources(pipeline, listing), self._code(workflow)

        pipeline = workflow.pipeline
        in_memory = pipeline is not None and not any(step.secrets or step.sources for step in pipeline.steps)
        return read() if in_memory else await asyncio.to_thread(read)

    async def images(self, references: Iterable[str]) -> dict[str, str]:
        """What images are now, by reference.

        Raises:
            KeyUnknown: That cannot be told.
        """
        found: dict[str, str | None] = {}
        for reference in references:
            known = self._communication.known_digest(reference)
            found[reference] = known or await self._cache.remembered_image(reference)
        unknown = [reference for reference, digest in found.items() if digest is None]
        if unknown:
            try:
                answers = await self._communication.ask_for_digests(unknown)
            except TaskManagerError as error:
                raise KeyUnknown(ENGINE_UNKNOWN, f"No engine can be had: {error}") from error
            for reference, digest in answers.items():
                if digest is None:
                    raise KeyUnknown(IMAGE_UNKNOWN, f"It cannot be told which image {reference} is now.")
                await self.remember(reference, digest)
            found |= answers
        return {reference: self._spelled_out(digest) for reference, digest in found.items() if digest is not None}

    async def remember(self, reference: str, digest: str) -> None:
        """Note what an image is, for a while; of the host's toolchain only that it stands in."""
        named = HOST_TOOLCHAIN if digest.startswith(HOST_TOOLCHAIN) else digest
        if self._settings.cache.image_seconds > 0 and self._communication.known_digest(reference) is None:
            await self._cache.remember_image(reference, named, self._settings.cache.image_seconds)

    def used(self, reference: str, noted: str | None) -> str | None:
        """What an image was that a step ran on.

        Args:
            reference: As the pipeline names it.
            noted: As the engine named it.
        """
        return self._spelled_out(noted) if noted else self._communication.known_digest(reference)

    def _spelled_out(self, digest: str) -> str:
        """The digest; of the host's toolchain the one of this moment."""
        if not digest.startswith(HOST_TOOLCHAIN):
            return digest
        return self._communication.known_digest(HOST_TOOLCHAIN) or digest

    def _environment(self) -> KeyComponent:
        values = self._settings.environment
        public = {name: value for name, value in values.items() if not SECRET_NAME.search(name)}
        hidden = secrets_component({name: values[name] for name in values.keys() - public.keys()}, self._digest_key())
        return component(
            "environment",
            {
                **public,
                **hidden.parts,
                "(network)": self._settings.network.value,
                "(output_bytes)": str(int(self._settings.limits.output_bytes)),
            },
        )

    def _secrets(self, pipeline: Pipeline | None) -> KeyComponent:
        named = {
            f"{step.id}/{name}": reference
            for step in (pipeline.steps if pipeline else ())
            for name, reference in step.secrets.items()
        }
        values = {name: _value_of(reference) for name, reference in named.items()}
        return secrets_component(values, self._digest_key() if values else b"")

    def _digest_key(self) -> bytes:
        """The key of secrets' digests: the configured one, or one that the data folder keeps."""
        if self._key is None:
            place = self._settings.cache.digest_key
            self._key = _configured_key(place) if place else _kept_key(self._store.data_dir / "cache" / _KEY_FILE)
        return self._key

    async def _engine(self) -> KeyComponent:
        try:
            identity = await self._communication.identity()
        except TaskManagerError as error:
            raise KeyUnknown(ENGINE_UNKNOWN, f"No engine can be had: {error}") from error
        return component("engine", {"kind": identity.kind.value, "version": identity.version})

    def _code(self, workflow: Workflow) -> dict[str, str]:
        """The code that a function may use: all of the pipelines folder."""
        folder = self._settings.pipelines_dir
        if workflow.function is None or folder is None:
            return {}
        files = sorted(file for file in folder.rglob("*.py") if file.is_file())
        return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    async def _inputs(self, task: Task, pipeline: Pipeline | None) -> dict[str, str]:
        """What comes from other tasks: artifacts by their digests, results by the run that gave them."""
        named = [
            source
            for step in (pipeline.steps if pipeline else ())
            for source in step.sources
            if isinstance(source, TaskSource)
        ]
        dependencies = [await self._store.run(tasks.get, needed) for needed in task.dependencies] if named else []
        return {
            f"{source.task}/{source.artifact or 'result'}": await self._input(source, dependencies) for source in named
        }

    async def _input(self, source: TaskSource, dependencies: Sequence[Task]) -> str:
        upstream = next((one for one in dependencies if source.task in (one.id, one.title)), None)
        if upstream is None:
            return "missing"
        run = await self._store.run(runs.latest, upstream.id, status=WorkflowStatus.SUCCEEDED)
        if run is None:
            return "missing"
        if source.artifact is None:
            return f"result of {run.original_run_id or run.id}"
        called = artifacts_called(source.artifact, await self._store.run(artifacts.of_run, run.id))
        return called[0].digest if len(called) == 1 else "missing"


def _references(pipeline: Pipeline | None) -> list[str]:
    used = [
        reference
        for step in (pipeline.steps if pipeline else ())
        for reference in (step.image, *(service.image for service in step.services))
    ]
    return sorted(set(used))


def _sources(pipeline: Pipeline | None, listing: Listing | None) -> dict[str, str]:
    """What steps take of the source folder, by step and place in its container; a function may read all of it."""
    if pipeline is None:
        return {} if listing is None else {"(all)": selection_digest(listing, HostSource(target="."))}
    return {
        _source_name(step, source): "none" if listing is None else selection_digest(listing, source)
        for step, source in host_sources(pipeline)
    }


def host_sources(pipeline: Pipeline) -> list[tuple[Step, HostSource]]:
    """What the steps take of the source folder."""
    return [(step, source) for step in pipeline.steps for source in step.sources if isinstance(source, HostSource)]


def _source_name(step: Step, source: HostSource) -> str:
    return f"{step.id}:{source.target}"


def _step_digests(
    pipeline: Pipeline | None, sources: Mapping[str, str], inputs: Mapping[str, str], around: str
) -> dict[str, str]:
    """For each step a digest of all that it depends on, the steps before it included."""
    digests: dict[str, str] = {}

    def digest(step: Step) -> str:
        if step.id not in digests:
            own = {
                "step": step.model_dump(mode="json"),
                "sources": {name: value for name, value in sources.items() if name.startswith(f"{step.id}:")},
                "inputs": {
                    name: inputs.get(name)
                    for name in (
                        f"{source.task}/{source.artifact or 'result'}"
                        for source in step.sources
                        if isinstance(source, TaskSource)
                    )
                },
                "before": [digest(pipeline.step(needed)) for needed in sorted(step.upstream)] if pipeline else [],
                "around": around,
            }
            digests[step.id] = hashlib.sha256(canonical(own).encode("utf-8", "surrogatepass")).hexdigest()
        return digests[step.id]

    for step in pipeline.steps if pipeline else ():
        digest(step)
    return digests


def _value_of(reference: str) -> str | None:
    try:
        return read_secret(reference)
    except (KeyError, OSError, UnicodeDecodeError):
        return None


def _configured_key(place: str) -> bytes:
    value = _value_of(place)
    if not value:
        raise KeyUnknown("digest_key_missing", f"The key of secrets' digests is not there: cache.digest_key = {place}.")
    return value.encode("utf-8", "surrogateescape")


def _kept_key(file: Path) -> bytes:
    """A random key that a file keeps for its owner alone; two processes that make it at once take the first one's."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        if not file.exists():
            aside.touch(mode=0o600)
            aside.write_bytes(secrets.token_bytes(_KEY_BYTES))
            try:
                file.hardlink_to(aside)
            except FileExistsError:
                pass
            finally:
                aside.unlink()
        return file.read_bytes()
    except OSError as error:
        raise KeyUnknown("digest_key_missing", f"The key of secrets' digests cannot be kept: {error}.") from error
