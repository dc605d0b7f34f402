"""Evaluated trees, and views of them."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from task_manager.embedded_engine.sandbox.overlay import mount_overlay
from task_manager.embedded_engine.store.layers import LayerStore, Workspace
from task_manager.embedded_engine.store.trees import TreeRoot

Result = TypeVar("Result")
_VIEWS_KEPT = 64


@dataclass(frozen=True)
class Snapshot:
    """An evaluated tree: its layers' names, lowest first, and whether the host's toolchain lies over them."""

    layers: tuple[str, ...] = ()
    toolchain: bool = False

    def plain(self) -> dict[str, Any]:
        """Return it as it is recorded."""
        return {"layers": list(self.layers), "toolchain": self.toolchain}

    @classmethod
    def recorded(cls, data: dict[str, Any]) -> "Snapshot":
        """Return what `plain` recorded."""
        return cls(tuple(data["layers"]), data["toolchain"])


class Threads:
    """Where file system work happens, beside the event loop."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="engine-files")

    async def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Run a function to its end, even when the caller is cancelled meanwhile."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def close(self) -> None:
        """Wait for what is under way and stop."""
        self._pool.shutdown()


class Views:
    """Read-only mounts of snapshots, attached nowhere, the most recent kept open."""

    def __init__(self, store: LayerStore) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, ...], _View] = OrderedDict()

    @contextmanager
    def of(self, snapshot: Snapshot) -> Iterator[TreeRoot]:
        """Give a snapshot's merged tree for reading."""
        view = self._kept.get(snapshot.layers) or self._mount(snapshot.layers)
        self._kept.move_to_end(snapshot.layers)
        view.users += 1
        try:
            yield view.root
        finally:
            view.users -= 1
            self._shrink()

    def close(self) -> None:
        """Drop every mount."""
        for view in self._kept.values():
            os.close(view.root.descriptor)
        self._kept.clear()

    def _mount(self, layers: tuple[str, ...]) -> "_View":
        folders = [*self._store.empty, *(self._store.layer(name) for name in layers)]
        view = self._kept[layers] = _View(TreeRoot(mount_overlay(folders)))
        return view

    def _shrink(self) -> None:
        idle = [layers for layers, view in self._kept.items() if not view.users]
        for layers in idle[: max(len(self._kept) - _VIEWS_KEPT, 0)]:
            os.close(self._kept.pop(layers).root.descriptor)


@dataclass
class _View:
    root: TreeRoot
    users: int = 0


@contextmanager
def writable(store: LayerStore, base: Snapshot, workspace: Workspace, index: int = 0) -> Iterator[TreeRoot]:
    """Give a snapshot's merged tree for changing; the changes are the workspace's layer `index`."""
    upper, work = workspace.upper(index, top_layer(store, base))
    folders = [store.empty[0], *(store.layer(name) for name in base.layers)]
    descriptor = mount_overlay(folders, upper, work)
    try:
        yield TreeRoot(descriptor)
    finally:
        os.close(descriptor)


def top_layer(store: LayerStore, snapshot: Snapshot) -> Path | None:
    """Return the folder whose mode and owner a snapshot's root has."""
    return Path(store.layer(snapshot.layers[-1])) if snapshot.layers else None


def with_layer(store: LayerStore, base: Snapshot, workspace: Workspace, key: str, index: int = 0) -> Snapshot:
    """Return a base with the workspace's layer on it, or the base where the layer changes nothing."""
    upper = workspace.entry / str(index)
    below = top_layer(store, base)
    if not any(upper.iterdir()) and (below is None or _same_root(upper, below)):
        upper.rmdir()
        return base
    return Snapshot((*base.layers, f"{key}/{index}"), base.toolchain)


def _same_root(upper: Path, below: Path) -> bool:
    new, old = upper.stat(), below.stat()
    return (new.st_mode, new.st_uid, new.st_gid) == (old.st_mode, old.st_uid, old.st_gid)
