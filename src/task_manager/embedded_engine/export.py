"""Writing folders and files of trees to the host."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.store.copying import CopyOptions, copy_folder
from task_manager.embedded_engine.store.trees import TreeRoot, copy_bytes

# Exported files belong to who runs the session.
_OPTIONS = CopyOptions(keep_owner=False)


def export_folder(root: TreeRoot, path: str, target: Path, *, wipe: bool = False) -> None:
    """Copy a folder's content into a folder of the host, which is made where it is missing.

    Args:
        root: The tree.
        path: The folder in it.
        target: The folder on the host.
        wipe: Whether what the folder on the host has and the tree has not is removed.

    Raises:
        ApiError: The host refuses.
    """
    try:
        if wipe and target.is_dir():
            _empty(target)
        target.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            copy_folder(root, path, TreeRoot(descriptor), "/", _OPTIONS)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _refused(target, error) from error


def export_file(root: TreeRoot, path: str, target: Path) -> Path:
    """Copy a file to a path of the host and return it; the folders above are made, an existing file is replaced whole.

    Raises:
        ApiError: The host refuses.
    """
    aside = target.with_name(f".{target.name}.{os.getpid()}.{id(target):x}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        reading = root.open(path)
        try:
            mode = stat.S_IMODE(os.fstat(reading).st_mode)
            with aside.open("xb") as writing:
                copy_bytes(reading, writing.fileno())
            aside.chmod(mode)
            aside.replace(target)
        finally:
            os.close(reading)
    except OSError as error:
        raise _refused(target, error) from error
    finally:
        with suppress(OSError):
            aside.unlink()
    return target


def _empty(folder: Path) -> None:
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()


def _refused(target: Path, error: OSError) -> ApiError:
    return ApiError(f"cannot export to {target}: {(error.strerror or str(error)).lower()}")
