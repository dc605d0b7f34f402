"""Turning descriptions into results: lazily, each once, a bounded number at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from task_manager.embedded_engine import edits, model
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.events import Events
from task_manager.embedded_engine.execution import Executed, Executor
from task_manager.embedded_engine.images.puller import ImagePuller
from task_manager.embedded_engine.services import Services
from task_manager.embedded_engine.single_flight import SingleFlight
from task_manager.embedded_engine.snapshots import Snapshot, Threads, Views, with_layer, writable
from task_manager.embedded_engine.store.differences import write_difference
from task_manager.embedded_engine.store.layers import LayerStore, Record
from task_manager.embedded_engine.store.squash import squash
from task_manager.embedded_engine.store.trees import TreeRoot
from task_manager.embedded_engine.toolchain import HOME

# Each layer costs a mount some microseconds, and the kernel takes 500 at most.
_LONGEST_CHAIN = 120
_SQUASHED = 100
# What a toolchain's root has of its own: everything else is bound.
_TOOLCHAIN_ROOT = model.Edited(
    model.Edited(model.Scratch(), model.MakeFolder("/tmp", 0o1777)),  # noqa: S108 - the container's
    model.MakeFolder(HOME, 0o700),
)


class Evaluator:
    """Evaluates trees and commands against one store."""

    def __init__(
        self,
        store: LayerStore,
        threads: Threads,
        *,
        views: Views,
        puller: ImagePuller,
        executor: Executor,
        services: Services,
        events: Events,
    ) -> None:
        self._services = services
        self._events = events
        self._store = store
        self._threads = threads
        self._views = views
        self._puller = puller
        self._executor = executor
        self._flights = SingleFlight()
        self._trees: dict[str, Snapshot] = {}
        self._makers: dict[type[model.Tree], Callable[..., Awaitable[Snapshot]]] = {
            model.Scratch: self._scratch,
            model.Toolchain: self._toolchain,
            model.Imported: self._imported,
            model.ImageRoot: self._image,
            model.Edited: self._edited,
            model.Difference: self._difference,
            model.Output: self._output,
        }

    async def tree(self, tree: model.Tree) -> Snapshot:
        """Return a tree's snapshot, made now if it was never made.

        Raises:
            ApiError: It cannot be made.
            StorageError: The store is full or failed.
        """
        if (known := self._trees.get(tree.digest)) is not None:
            if isinstance(tree, model.Output):
                self._events.cached(tree.execution)
            return known
        snapshot = await self._flights.run(tree.digest, lambda: self._makers[type(tree)](tree))
        self._trees[tree.digest] = snapshot
        return snapshot

    async def execution(self, execution: model.Execution) -> Executed:
        """Return what a command did, run now if its result is not stored.

        Raises:
            ExecError: It ended otherwise than expected.
            ApiError: It cannot run.
        """
        if (record := self._store.lookup(execution.digest)) is not None:
            executed = Executed(record, self._store.entry(execution.digest))
        else:
            executed = await self._flights.run(execution.digest, lambda: self._run(execution))
        # Also for those who waited for an equal command of another container; whose own it was has heard of it.
        self._events.cached(execution)
        return executed

    def view(self, snapshot: Snapshot) -> AbstractContextManager[TreeRoot]:
        """Return a snapshot's tree for reading, as a context manager."""
        return self._views.of(snapshot)

    async def _scratch(self, _: model.Scratch) -> Snapshot:
        return Snapshot()

    async def _toolchain(self, _: model.Toolchain) -> Snapshot:
        return Snapshot((await self.tree(_TOOLCHAIN_ROOT)).layers, toolchain=True)

    async def _imported(self, tree: model.Imported) -> Snapshot:
        record = self._store.lookup(tree.key)
        if record is None:
            raise ApiError("an imported folder is no longer in the store: load it again")
        return _only_output(record)

    async def _image(self, tree: model.ImageRoot) -> Snapshot:
        return await self._puller.root(tree)

    async def _edited(self, tree: model.Edited) -> Snapshot:
        if (record := self._store.lookup(tree.digest)) is not None:
            return _only_output(record)
        if (source := _whole_source(tree)) is not None:
            return await self.tree(source)
        base = await self._short(await self.tree(tree.base))
        copied = tree.action.source if isinstance(tree.action, model.CopyFolder | model.CopyFile) else None
        with ExitStack() as held:
            copying, accounts = [await self._held_view(one, held) for one in (copied, tree.accounts)]
            return await self._threads.run(self._edit, tree, base, copying, accounts)

    async def _held_view(self, tree: model.Tree | None, held: ExitStack) -> TreeRoot | None:
        return held.enter_context(self._views.of(await self.tree(tree))) if tree else None

    def _edit(self, tree: model.Edited, base: Snapshot, source: TreeRoot | None, accounts: TreeRoot | None) -> Snapshot:
        def change(target: TreeRoot) -> None:
            edits.apply(tree.action, target, edits.Others(source, accounts or target))

        return self._new_layer(tree.digest, base, "edit", change)

    async def _difference(self, tree: model.Difference) -> Snapshot:
        if (record := self._store.lookup(tree.digest)) is not None:
            return _only_output(record)
        lower, upper = await asyncio.gather(self.tree(tree.lower), self.tree(tree.upper))
        with self._views.of(lower) as old, self._views.of(upper) as new:

            def change(target: TreeRoot) -> None:
                write_difference(old, tree.lower_path, new, tree.upper_path, target)

            return await self._threads.run(self._new_layer, tree.digest, Snapshot(), "difference", change)

    def _new_layer(self, key: str, base: Snapshot, kind: str, change: Callable[[TreeRoot], None]) -> Snapshot:
        with self._store.workspace() as workspace:
            with writable(self._store, base, workspace) as target:
                change(target)
            snapshot = with_layer(self._store, base, workspace, key)
            return _only_output(self._store.commit(workspace, key, {"outputs": [snapshot.plain()], "kind": kind}))

    async def _output(self, tree: model.Output) -> Snapshot:
        return (await self.execution(tree.execution)).output(tree.index)

    async def _run(self, execution: model.Execution) -> Executed:
        root, *mounted = await self.inputs(execution)
        async with self._services.bound(execution.services) as bound:
            return await self._executor.run(execution, root, mounted, bound)

    async def inputs(self, execution: model.Execution) -> list[Snapshot]:
        """Return the snapshots of a command's root and of its mounts that have a tree.

        Raises:
            ApiError: One cannot be made.
        """
        wanted = [execution.root, *(mount.tree for mount in execution.mounts if mount.tree is not None)]
        return await asyncio.gather(*(self._shortened(tree) for tree in wanted))

    async def _shortened(self, tree: model.Tree) -> Snapshot:
        return await self._short(await self.tree(tree))

    async def _short(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with few enough layers to build on."""
        if len(snapshot.layers) < _LONGEST_CHAIN:
            return snapshot
        kept, merged = snapshot.layers[:-_SQUASHED], snapshot.layers[-_SQUASHED:]
        key = model.Squashed(merged).digest
        await self._flights.run(key, lambda: self._threads.run(self._squash, key, merged))
        return Snapshot((*kept, f"{key}/0"), snapshot.toolchain)

    def _squash(self, key: str, merged: tuple[str, ...]) -> None:
        if self._store.lookup(key) is not None:
            return
        with self._store.workspace() as workspace:
            target = workspace.entry / "0"
            target.mkdir()
            squash([Path(self._store.layer(name)) for name in merged], target)
            outputs = [Snapshot((f"{key}/0",)).plain()]
            self._store.commit(workspace, key, {"outputs": outputs, "kind": "squashed layers"})


def _whole_source(tree: model.Edited) -> model.Tree | None:
    """Return the tree that an edit copies whole into an empty one, if it does."""
    action = tree.action
    if not isinstance(action, model.CopyFolder) or not isinstance(tree.base, model.Scratch):
        return None
    is_whole = action.digest == model.CopyFolder(action.source, "/", "/").digest
    return action.source if is_whole else None


def _only_output(record: Record) -> Snapshot:
    return Snapshot.recorded(record.data["outputs"][0])
