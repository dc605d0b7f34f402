"""Fakes for tests without an engine; public, so that users of the package can test with them too.

`FakeEngine` stands where a session's client stands. It keeps files and environment as a container would, and answers
commands from a table or a function instead of running them.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

from task_manager.communication import ContainerRegistry, DaggerCommunicationManager, EngineKind, EngineSession
from task_manager.communication.engine_identity import EngineIdentity
from task_manager.config import Settings
from task_manager.errors import EngineError, TaskManagerError


@dataclass(frozen=True)
class FakeExec:
    """What a faked command does.

    Attributes:
        files: Absolute path to text: what the command writes.
        error: Raised instead, as a broken engine would.
    """

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    error: TaskManagerError | None = None


@dataclass(frozen=True)
class FakeCall:
    """A command as the engine was asked to run it."""

    image: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    files: Mapping[str, str]
    labels: Mapping[str, str]


Answer = Callable[[FakeCall], FakeExec]


class FakeEngine:
    """A client that runs nothing.

    Args:
        answer: Decides what a command does; by default everything succeeds silently.
        unreachable: Errors by image reference, raised when such an image is pulled.

    Attributes:
        calls: The commands that were run, in order.
        hold: Awaited before a command's end, so that a test can keep it running.
        busy: Set once a command runs.
    """

    def __init__(
        self,
        answer: Answer | Mapping[tuple[str, ...], FakeExec] | None = None,
        *,
        unreachable: Mapping[str, TaskManagerError] | None = None,
    ) -> None:
        self._answer = answer if callable(answer) else _from_table(answer or {})
        self.unreachable = dict(unreachable or {})
        self.calls: list[FakeCall] = []
        self.hold: Callable[[], Awaitable[object]] | None = None
        self.busy = asyncio.Event()

    def container(self) -> FakeContainer:
        """An empty container."""
        return FakeContainer(self)

    def host(self) -> Any:
        """The host: `directory` and `file` hand out paths."""
        return SimpleNamespace(
            directory=lambda path, **_: _tree_of(Path(path)),
            file=lambda path, **_: FakeFile(Path(path).read_text(errors="replace"), Path(path).name),
        )

    def cache_volume(self, name: str) -> str:
        """The name stands for the volume."""
        return name

    def set_secret(self, name: str, plaintext: str) -> tuple[str, str]:
        """Name and value stand for the secret."""
        return name, plaintext

    def run(self, call: FakeCall) -> FakeExec:
        """Record a call and answer it."""
        self.calls.append(call)
        return self._answer(call)


@dataclass(frozen=True)
class FakeFile:
    """A file with its text."""

    text: str
    file_name: str = "file"

    async def export(self, path: str) -> str:
        """Write it to the host."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.text)
        return path

    async def sync(self) -> Self:
        """It is there."""
        return self

    async def contents(self) -> str:
        """Its text."""
        return self.text


@dataclass(frozen=True)
class FakeDirectory:
    """Files by relative path."""

    files: Mapping[str, str]

    async def sync(self) -> Self:
        """They are there."""
        return self

    async def entries(self) -> list[str]:
        """The names at its top; those of folders end in a slash."""
        return sorted({f"{first}{slash}" for first, slash, _ in (name.partition("/") for name in self.files)})

    async def export(self, path: str) -> str:
        """Write them to the host."""
        Path(path).mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            await FakeFile(text).export(f"{path}/{name}")
        return path


@dataclass(frozen=True)
class FakeContainer:
    """A container's description; each `with_…` returns a changed one, as the SDK's does."""

    engine: FakeEngine
    image: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    outcome: FakeExec | None = None

    def from_(self, address: str) -> Self:
        """Based on an image."""
        return replace(self, image=address)

    def with_env_variable(self, name: str, value: str) -> Self:
        """With a variable."""
        return replace(self, environment={**self.environment, name: value})

    def with_secret_variable(self, name: str, secret: tuple[str, str]) -> Self:
        """With a variable from a secret."""
        return self.with_env_variable(name, secret[1])

    def with_label(self, name: str, value: str) -> Self:
        """With a label."""
        return replace(self, labels={**self.labels, name: value})

    def with_workdir(self, path: str) -> Self:
        """The working folder is of no account here."""
        return self

    def with_mounted_cache(self, path: str, cache: str) -> Self:
        """Cache volumes are of no account here."""
        return self

    def with_service_binding(self, alias: str, service: object) -> Self:
        """Services are of no account here."""
        return self

    def with_new_file(self, path: str, contents: str, **_: object) -> Self:
        """With a file."""
        return replace(self, files={**self.files, path: contents})

    def with_file(self, path: str, source: FakeFile) -> Self:
        """With a copy of a file."""
        return self.with_new_file(path, source.text)

    def with_directory(self, path: str, source: FakeDirectory) -> Self:
        """With a copy of a directory."""
        added = {posixpath.join(path, name): text for name, text in source.files.items()}
        return replace(self, files={**self.files, **added})

    def with_exec(self, args: Sequence[str], **_: object) -> Self:
        """Run a command."""
        call = FakeCall(self.image, tuple(args), self.environment, self.files, self.labels)
        outcome = self.engine.run(call)
        return replace(self, outcome=outcome, files={**self.files, **outcome.files})

    def with_mounted_directory(self, path: str, source: FakeDirectory) -> Self:
        """With a copy of a directory."""
        return self.with_directory(path, source)

    def with_mounted_file(self, path: str, source: FakeFile) -> Self:
        """With a copy of a file."""
        return self.with_file(path, source)

    def with_exposed_port(self, port: int) -> Self:
        """Ports are of no account here."""
        return self

    def as_service(self, **_: object) -> FakeService:
        """A service that runs until it is stopped."""
        return FakeService(self)

    async def sync(self) -> Self:
        """Evaluate; raises what pulling the image or the command is scripted to raise."""
        error = self.engine.unreachable.get(self.image) or (self.outcome.error if self.outcome else None)
        if error is not None:
            raise error
        if self.outcome is not None:
            self.engine.busy.set()
            if self.engine.hold is not None:
                await self.engine.hold()
        return self

    async def image_ref(self) -> str:
        """The image with a made-up digest."""
        return f"{self.image}@sha256:{'0' * 64}"

    async def exit_code(self) -> int:
        """The command's exit code."""
        return self._ran.exit_code

    async def stdout(self) -> str:
        """The command's standard output."""
        return self._ran.stdout

    async def stderr(self) -> str:
        """The command's standard error."""
        return self._ran.stderr

    @property
    def _ran(self) -> FakeExec:
        if self.outcome is None:
            raise EngineError("no command has been set")
        return self.outcome

    def file(self, path: str) -> FakeFile:
        """A file; exporting one that is not there fails as the engine does."""
        if path not in self.files:
            return cast("FakeFile", _Missing(path))
        return FakeFile(self.files[path], posixpath.basename(path))

    def directory(self, path: str) -> FakeDirectory:
        """A directory; exporting one that is not there fails as the engine does."""
        prefix = path.rstrip("/") + "/"
        found = {name.removeprefix(prefix): text for name, text in self.files.items() if name.startswith(prefix)}
        return FakeDirectory(found) if found else cast("FakeDirectory", _Missing(path))


@dataclass(frozen=True)
class FakeService:
    """A container that runs until it is stopped."""

    container: FakeContainer

    async def start(self) -> Self:
        """It runs; raises what pulling the image is scripted to raise."""
        await self.container.sync()
        return self

    async def endpoint(self) -> str:
        """A made-up address."""
        return "fake:1"

    async def stop(self, *, kill: bool = False) -> Self:
        """It has ended."""
        return self


@dataclass(frozen=True)
class _Missing:
    path: str

    async def export(self, path: str) -> str:
        raise EngineError(f"stat {self.path}: no such file or directory")

    async def sync(self) -> Self:
        raise EngineError(f"stat {self.path}: no such file or directory")

    async def entries(self) -> list[str]:
        raise EngineError(f"stat {self.path}: no such file or directory")


class FakeCommunicationManager(DaggerCommunicationManager):
    """A communication manager whose session is a `FakeEngine`."""

    def __init__(self, settings: Settings, engine: FakeEngine, *, kind: EngineKind = EngineKind.EMBEDDED) -> None:
        super().__init__(settings)
        self.containers = ContainerRegistry()
        self._fake = cast(
            "EngineSession",
            SimpleNamespace(
                client=engine, kind=kind, description=f"fake {kind}", alive=True, pid=None, live_output=None
            ),
        )

    async def identity(self) -> EngineIdentity:
        """The fake's kind."""
        return EngineIdentity(self._fake.kind, "fake")

    def known_digest(self, reference: str) -> str | None:
        """The digest that every fake image has."""
        return f"{reference}@sha256:{'0' * 64}"

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[EngineSession]:
        """The fake session, without a breaker."""
        yield self._fake


def _from_table(table: Mapping[tuple[str, ...], FakeExec]) -> Answer:
    return lambda call: table.get(call.arguments, FakeExec())


def _tree_of(folder: Path) -> FakeDirectory:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return FakeDirectory({path.relative_to(folder).as_posix(): path.read_text(errors="replace") for path in files})
