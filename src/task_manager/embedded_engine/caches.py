"""Cache volumes: folders that outlive the commands that write in them."""

import asyncio
import fcntl
import os
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from task_manager.embedded_engine import model
from task_manager.embedded_engine.edits import owner_ids
from task_manager.embedded_engine.snapshots import Threads
from task_manager.embedded_engine.store.copying import CopyOptions, copy_folder
from task_manager.embedded_engine.store.layers import LayerStore
from task_manager.embedded_engine.store.trees import TreeRoot, remove_tree

if TYPE_CHECKING:
    from task_manager.embedded_engine.evaluator import Evaluator

_POLL_SECONDS = 0.05


class CacheVolumes:
    """Gives commands the folders of their cache volumes."""

    def __init__(self, store: LayerStore, threads: Threads) -> None:
        self._store = store
        self._threads = threads
        self._locks: dict[str, asyncio.Lock] = {}
        self._evaluator: Evaluator | None = None

    def attach(self, evaluator: "Evaluator") -> None:
        """Say who makes the trees that volumes begin with."""
        self._evaluator = evaluator

    @asynccontextmanager
    async def use(self, mount: model.Mount) -> AsyncIterator[Path]:
        """Give a volume's folder for the time of one command.

        `SHARED` volumes are used at once, `LOCKED` ones by one command after the other, also across sessions, and a
        `PRIVATE` one that is in use is replaced by an empty one of the command's own.
        """
        if mount.cache is None:
            raise ValueError("the mount has no cache volume")
        folder = await self._folder(mount.cache)
        if mount.sharing == "SHARED":
            yield folder / "data"
            return
        lock = self._locks.setdefault(mount.cache.digest, asyncio.Lock())
        if mount.sharing == "PRIVATE" and lock.locked():
            own = self._store.session_folder / f"private-{os.urandom(8).hex()}"
            own.mkdir()
            try:
                yield own
            finally:
                await self._threads.run(shutil.rmtree, own)
            return
        async with lock, _held(folder / "lock"):
            yield folder / "data"

    async def _folder(self, cache: model.CacheVolumeKey) -> Path:
        """Return a volume's folder, begun as its description says where it is new."""
        folder = self._store.cache_volume(cache.digest)
        if (folder / "data").is_dir():
            return folder
        async with self._locks.setdefault(f"new {cache.digest}", asyncio.Lock()), _held(folder / "new"):
            if (folder / "data").is_dir():
                return folder
            with ExitStack() as held:
                source, accounts = [await self._view(tree, held) for tree in (cache.source, cache.accounts)]
                await self._threads.run(self._begin, folder, cache, source, accounts)
        return folder

    async def _view(self, tree: model.Tree | None, held: ExitStack) -> TreeRoot | None:
        if tree is None or self._evaluator is None:
            return None
        return held.enter_context(self._evaluator.view(await self._evaluator.tree(tree)))

    def _begin(
        self, folder: Path, cache: model.CacheVolumeKey, source: TreeRoot | None, accounts: TreeRoot | None
    ) -> None:
        aside = folder / "aside"
        remove_tree(aside)
        with self._store.guarded():
            aside.mkdir(mode=0o755)
            descriptor = os.open(aside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                target = TreeRoot(descriptor)
                owner = owner_ids(accounts or target, cache.owner) if cache.owner else None
                if source is not None:
                    copy_folder(source, cache.source_path, target, "/", CopyOptions(owner=owner))
                    os.fchmod(descriptor, stat.S_IMODE(source.status(cache.source_path).st_mode))
                elif owner:
                    os.fchown(descriptor, *owner)
            finally:
                os.close(descriptor)
            aside.rename(folder / "data")


@asynccontextmanager
async def _held(path: Path) -> AsyncIterator[None]:
    """Hold a lock file that other sessions know too."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)
