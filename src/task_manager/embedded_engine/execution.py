"""Running a described command in a sandbox and keeping what it leaves."""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from task_manager.embedded_engine import model
from task_manager.embedded_engine.caches import CacheVolumes
from task_manager.embedded_engine.capture import Capture, captured
from task_manager.embedded_engine.errors import ApiError, ExecError
from task_manager.embedded_engine.events import Events, Kind
from task_manager.embedded_engine.limits import CommandLimits
from task_manager.embedded_engine.sandbox.launcher import Ended, Launcher, SandboxError
from task_manager.embedded_engine.sandbox.network import address_of
from task_manager.embedded_engine.sandbox.spec import MountSpec, OverlaySpec, SandboxSpec
from task_manager.embedded_engine.snapshots import Snapshot, Threads, top_layer, with_layer
from task_manager.embedded_engine.store.layers import LayerStore, Record, Workspace, is_storage_failure, storage_error
from task_manager.embedded_engine.toolchain import HostToolchain

# A real engine takes codes that a signal gives as failures whatever is expected.
_ORDINARY_FAILURES = frozenset({*range(1, 128), *range(192, 256)})
_EXPECTED = {"SUCCESS": frozenset({0}), "FAILURE": _ORDINARY_FAILURES, "ANY": _ORDINARY_FAILURES | {0}}
_ADDRESSES = 65_000
_log = logging.getLogger(__name__)
HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\ttask-manager\n"


@dataclass(frozen=True)
class BoundService:
    """A running service as a command knows it."""

    alias: str
    hostname: str
    address: str


@dataclass(frozen=True)
class StartedService:
    """A service about to run: where it is reached, what it knows itself, and its sandbox's number."""

    command: model.ServiceCommand
    hostname: str
    address: str
    number: int
    known: tuple[BoundService, ...]


class Addresses:
    """Gives every sandbox in the session's network an address of its own."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> str:
        """Return an address that no running sandbox has; they come round again after 65,000."""
        self._next += 1
        return address_of(self._next % _ADDRESSES)


@dataclass(frozen=True)
class Executed:
    """A command's stored result."""

    record: Record
    folder: Path

    @property
    def exit_code(self) -> int:
        """The exit code."""
        return int(self.record.data["exit_code"])

    def output(self, index: int) -> Snapshot:
        """Return the tree that it left in its root (0) or in its writable mount number `index`."""
        return Snapshot.recorded(self.record.data["outputs"][index])

    def stream(self, name: str) -> str:
        """Return captured output: `stdout`, `stderr` or `combined`."""
        return captured(self.folder, name).decode("utf-8", "replace")


class Executor:
    """Runs commands, a bounded number at a time."""

    def __init__(
        self,
        store: LayerStore,
        launcher: Launcher,
        threads: Threads,
        *,
        caches: CacheVolumes,
        toolchain: HostToolchain,
        addresses: Addresses,
        events: Events,
        parallelism: int,
        network: str,
        no_way_out: str,
        limits: CommandLimits,
    ) -> None:
        self._limits = limits
        self._network = network
        self._no_way_out = no_way_out
        self._addresses = addresses
        self._events = events
        self._store = store
        self._launcher = launcher
        self._threads = threads
        self._caches = caches
        self._toolchain = toolchain
        self._slots = asyncio.Semaphore(parallelism)

    async def run(
        self, execution: model.Execution, root: Snapshot, mounted: Sequence[Snapshot], bound: Sequence[BoundService]
    ) -> Executed:
        """Run a command and store its result.

        Args:
            execution: The command.
            root: Its root's snapshot.
            mounted: The snapshots of its mounts that have a tree, in the order of the mounts.
            bound: The running services that it knows.

        Raises:
            ExecError: It ended otherwise than expected; nothing is stored.
            ApiError: It cannot run.
            StorageError: The store is full or failed.
        """
        async with AsyncExitStack() as held:
            caches = [
                await held.enter_async_context(self._caches.use(mount)) for mount in execution.mounts if mount.cache
            ]
            # A command that waits for a locked volume takes no other's place.
            await held.enter_async_context(self._slots)
            workspace = held.enter_context(self._store.workspace())
            plan = _Plan(self._store, workspace, execution, root=root, mounted=mounted, caches=caches)
            spec = self._with_toolchain(plan.spec(), root)
            spec = self._networked(spec, execution, bound)
            with self._captured(plan.workspace, execution, "command") as capture:
                ended = await self._start(spec, execution, capture)
            self._check(execution, spec, ended, capture)
            return await self._threads.run(self._keep, execution, plan, ended)

    async def serve(self, started: StartedService, root: Snapshot, mounted: Sequence[Snapshot]) -> None:
        """Run a service's command until it ends; what it writes is not kept.

        Raises:
            ExecError: It ended, however it did.
            ApiError: It cannot run.
            StorageError: The store is full or failed.
        """
        execution = started.command.execution
        async with AsyncExitStack() as held:
            caches = [
                await held.enter_async_context(self._caches.use(mount)) for mount in execution.mounts if mount.cache
            ]
            workspace = held.enter_context(self._store.workspace())
            plan = _Plan(self._store, workspace, execution, root=root, mounted=mounted, caches=caches)
            spec = self._with_toolchain(plan.spec(), root)
            spec = replace(spec, network=self._reach(execution), hostname=started.hostname)
            spec = replace(spec, address=started.address, isolated=False)
            spec = replace(spec, mounts=(*self._network_files(started.known), *spec.mounts))
            with self._captured(plan.workspace, execution, "service") as capture:
                ended = await self._start(spec, execution, capture, started.number)
            raise self._failure(execution, ended, capture)

    @contextmanager
    def _captured(self, workspace: Workspace, execution: model.Execution, kind: Kind) -> Iterator[Capture]:
        """Give what takes a step's output, and tell readers of events of its start and end."""
        capture = Capture(workspace, execution, self._events, self._limits.output)
        self._events.started(execution, kind)
        began = time.monotonic()
        try:
            with capture:
                yield capture
        finally:
            self._events.ended(execution, capture.exit_code, time.monotonic() - began)

    def _with_toolchain(self, spec: SandboxSpec, root: Snapshot) -> SandboxSpec:
        if not root.toolchain:
            return spec
        # The image's environment counts over the toolchain's; of two equal names the last one holds.
        environment = (*self._toolchain.environment(), *spec.environment)
        return replace(spec, mounts=(*self._toolchain.mounts(), *spec.mounts), environment=environment)

    def _networked(self, spec: SandboxSpec, execution: model.Execution, bound: Sequence[BoundService]) -> SandboxSpec:
        spec = replace(spec, mounts=(*self._network_files(bound), *spec.mounts))
        if bound:
            return replace(spec, network=self._reach(execution), address=self._addresses.take())
        return replace(
            spec, network="host" if self._network == "host" and execution.network else self._reach(execution)
        )

    def _reach(self, execution: model.Execution) -> str:
        """Return what a command reaches beside its services, in a network of its own."""
        return "none" if self._network == "none" or not execution.network else "outbound"

    def _network_files(self, bound: Sequence[BoundService]) -> list[MountSpec]:
        resolver = str(self._store.session_folder / "resolv.conf")
        return [
            self._hosts_file(bound),
            MountSpec("bind", "/etc/resolv.conf", source=resolver, read_only=True, is_file=True),
        ]

    def _hosts_file(self, bound: Sequence[BoundService]) -> MountSpec:
        if not bound:
            # The same for every command: no file system in memory has to be made for it.
            source = str(self._store.session_folder / "hosts")
            return MountSpec("bind", "/etc/hosts", source=source, read_only=True, is_file=True)
        names = "".join(f"{service.address}\t{service.alias} {service.hostname}\n" for service in bound)
        return MountSpec("content", "/etc/hosts", content=HOSTS + names, mode=0o644, read_only=True, is_file=True)

    async def _start(
        self, spec: SandboxSpec, execution: model.Execution, capture: Capture, number: int | None = None
    ) -> Ended:
        try:
            spec = replace(spec, limits=self._limits.of_sandbox())
            ended = await self._launcher.run(spec, execution.stdin.encode(), capture.stdout, capture.stderr, number)
        except SandboxError as error:
            failure = OSError(error.code, str(error))
            if error.code and is_storage_failure(failure):
                raise storage_error(self._store.root, failure) from error
            raise ApiError(f"the command {list(execution.arguments)} cannot be started: {error}") from error
        capture.exit_code = ended.exit_code
        return ended

    def _check(self, execution: model.Execution, spec: SandboxSpec, ended: Ended, capture: Capture) -> None:
        if ended.exit_code in _EXPECTED[execution.expect]:
            return
        if self._no_way_out and spec.network != "host":
            _log.info("commands reach no other machine: %s; see `task-manager-engine doctor`", self._no_way_out)
            # Once is enough.
            self._no_way_out = ""
        raise self._failure(execution, ended, capture)

    def _failure(self, execution: model.Execution, ended: Ended, capture: Capture) -> ExecError:
        stdout, stderr = capture.shown("stdout"), capture.shown("stderr")
        return ExecError(execution.arguments, ended.exit_code, stdout, self._limits.explained(stderr))

    def _keep(self, execution: model.Execution, plan: "_Plan", ended: Ended) -> Executed:
        plan.remove_stubs(ended.created)
        outputs = [snapshot.plain() for snapshot in plan.outputs(execution.digest)]
        data = {"outputs": outputs, "exit_code": ended.exit_code}
        record = self._store.commit(plan.workspace, execution.digest, data)
        return Executed(record, self._store.entry(execution.digest))


class _Plan:
    """Where each layer of one command goes."""

    def __init__(
        self,
        store: LayerStore,
        workspace: Workspace,
        execution: model.Execution,
        *,
        root: Snapshot,
        mounted: Sequence[Snapshot],
        caches: Sequence[Path],
    ) -> None:
        self.workspace = workspace
        self._store = store
        self._execution = execution
        self._written: list[Snapshot] = [root]
        self._root = self._overlay(root, 0, stub=True)
        snapshots, folders = iter(mounted), iter(caches)
        self._mounts = tuple(self._mount(mount, snapshots, folders) for mount in execution.mounts)

    def spec(self) -> SandboxSpec:
        """Return the sandbox to build."""
        execution = self._execution
        secrets = tuple(
            (name, secret.value.decode("utf-8", "surrogateescape")) for name, secret in execution.secret_environment
        )
        return SandboxSpec(
            root=self._root,
            arguments=execution.arguments,
            environment=(*execution.environment, *execution.volatile_environment, *secrets),
            working_folder=execution.working_folder,
            user=execution.user,
            mounts=self._mounts,
            mount_points=self._store.mount_points,
            redirect_stdin=execution.redirect_stdin,
            redirect_stdout=execution.redirect_stdout,
            redirect_stderr=execution.redirect_stderr,
            init=execution.init,
        )

    def outputs(self, key: str) -> list[Snapshot]:
        """Return what the command left: its root, then its writable mounts."""
        return [with_layer(self._store, base, self.workspace, key, index) for index, base in enumerate(self._written)]

    def remove_stubs(self, created: Sequence[str]) -> None:
        """Remove from the root's layer the empty files and folders that were only made to mount on."""
        for path in reversed(created):
            stub = self.workspace.entry / "0" / path.lstrip("/")
            with suppress(OSError):
                if stub.is_dir() and not stub.is_symlink():
                    stub.rmdir()
                elif stub.is_file() and stub.stat().st_size == 0:
                    stub.unlink()

    def _overlay(self, base: Snapshot, index: int, *, stub: bool = False) -> OverlaySpec:
        lowest = self._store.stub if stub else self._store.empty[0]
        layers = (lowest, *(self._store.layer(name) for name in base.layers))
        return OverlaySpec(layers, *self.workspace.upper(index, top_layer(self._store, base)))

    def _mount(self, mount: model.Mount, snapshots: Iterator[Snapshot], folders: Iterator[Path]) -> MountSpec:
        if mount.kind in ("tree", "file"):
            return self._tree_mount(mount, next(snapshots))
        if mount.kind == "cache":
            return MountSpec("bind", mount.target, source=str(next(folders)))
        if mount.kind == "temporary":
            return MountSpec("tmpfs", mount.target, size=mount.size)
        if mount.secret is None:
            raise ValueError(f"a mount of kind {mount.kind} without content")
        content = mount.secret.value.decode("latin-1")
        return MountSpec("content", mount.target, content=content, mode=mount.mode, owner=mount.owner, is_file=True)

    def _tree_mount(self, mount: model.Mount, base: Snapshot) -> MountSpec:
        if mount.has_output:
            overlay = self._overlay(base, len(self._written))
            self._written.append(base)
        else:
            overlay = OverlaySpec((*self._store.empty, *(self._store.layer(name) for name in base.layers)))
        is_file = mount.kind == "file"
        return MountSpec(
            "overlay", mount.target, overlay=overlay, subpath=mount.path, read_only=mount.read_only, is_file=is_file
        )
