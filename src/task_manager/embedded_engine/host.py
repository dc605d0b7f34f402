"""Bringing folders and files of the host into the store, by their content."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from task_manager.embedded_engine import model
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.patterns import Filter
from task_manager.embedded_engine.single_flight import SingleFlight
from task_manager.embedded_engine.snapshots import Snapshot, Threads, with_layer, writable
from task_manager.embedded_engine.store.copying import CopyOptions, copy_file, copy_folder, digest_folder
from task_manager.embedded_engine.store.ignoring import IgnoreFiles
from task_manager.embedded_engine.store.layers import LayerStore
from task_manager.embedded_engine.store.trees import TreeRoot


class HostFiles:
    """Imports from the host; within a session the same request gives the same content, unless told otherwise."""

    def __init__(self, store: LayerStore, threads: Threads) -> None:
        self._store = store
        self._threads = threads
        self._flights = SingleFlight()
        self._seen: dict[tuple[str, Filter], model.Imported] = {}

    async def folder(self, path: Path, filtered: Filter, *, fresh: bool = False) -> model.Imported:
        """Return a folder of the host as a tree.

        Args:
            path: The folder, absolute.
            filtered: What of it is taken.
            fresh: Whether it is read again although this session has read it before.

        Raises:
            ApiError: There is no such folder, or it cannot be read.
            StorageError: The store is full or failed.
        """
        key = (str(path), filtered)
        if not fresh and (seen := self._seen.get(key)) is not None:
            return seen
        name = f"{path}\0{filtered}"
        imported = self._seen[key] = await self._flights.run(
            name, lambda: self._threads.run(self._folder, path, filtered)
        )
        return imported

    async def file(self, path: Path, *, fresh: bool = False) -> model.Imported:
        """Return a tree that holds a file of the host in its root.

        Raises:
            ApiError: There is no such file, or it cannot be read.
            StorageError: The store is full or failed.
        """
        key = (f"{path}\0file", Filter())
        if not fresh and (seen := self._seen.get(key)) is not None:
            return seen
        imported = self._seen[key] = await self._threads.run(self._file, path)
        return imported

    def _folder(self, path: Path, filtered: Filter) -> model.Imported:
        descriptor = _open_folder(path)
        try:
            options = _options(path, filtered)
            source = TreeRoot(descriptor)
            digest = digest_folder(source, "/", options)
            if self._store.lookup(digest) is not None:
                return model.Imported(digest)
            # The folder may change while it is read: what is stored is named by what was copied.
            return self._import(lambda target: copy_folder(source, "/", target, "/", options))
        except OSError as error:
            raise ApiError(
                f"cannot read {path}: {(error.strerror or str(error)).lower()} {error.filename or ''}".strip()
            ) from error
        finally:
            os.close(descriptor)

    def _file(self, path: Path) -> model.Imported:
        if path.is_dir():
            raise ApiError(f"path {path} is a directory, not a file")
        if not path.exists():
            raise ApiError(f"lstat {path}: no such file or directory")
        descriptor = _open_folder(path.parent)
        try:
            source = TreeRoot(descriptor)
            return self._import(
                lambda target: copy_file(source, path.name, target, path.name, CopyOptions(keep_owner=False))
            )
        except OSError as error:
            raise ApiError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
        finally:
            os.close(descriptor)

    def _import(self, copy: Callable[[TreeRoot], None]) -> model.Imported:
        with self._store.workspace() as workspace:
            with writable(self._store, Snapshot(), workspace) as target:
                copy(target)
                digest = digest_folder(target, "/", CopyOptions())
            snapshot = with_layer(self._store, Snapshot(), workspace, digest)
            self._store.commit(workspace, digest, {"outputs": [snapshot.plain()], "kind": "host files"})
            return model.Imported(digest)


def _options(path: Path, filtered: Filter) -> CopyOptions:
    """Return how a folder is copied.

    What a host's owner ids are means nothing in a container: everything arrives as the engine's user, 0. .gitignore
    files count in repositories alone, then also those above the folder.
    """
    above = IgnoreFiles.above(path) if filtered.gitignore else None
    if above is None:
        return CopyOptions(replace(filtered, gitignore=False), keep_owner=False)
    return CopyOptions(filtered, keep_owner=False, ignored_above=above)


def _open_folder(path: Path) -> int:
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            raise ApiError(f"path {path} is a file, not a directory")
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ApiError(f"lstat {path}: {(error.strerror or str(error)).lower()}") from error
