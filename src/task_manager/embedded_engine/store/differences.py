"""What one folder has that another has not, or has otherwise."""

import os
import stat

from task_manager.embedded_engine.store.copying import CopyOptions, copy_file
from task_manager.embedded_engine.store.trees import Entry, TreeRoot

_CHUNK = 1 << 20


def write_difference(old: TreeRoot, old_path: str, new: TreeRoot, new_path: str, target: TreeRoot) -> None:
    """Copy what is new or changed in `new`'s folder into `target`'s root; what only `old` has leaves no trace.

    Raises:
        OSError: Reading or writing failed.
    """
    for entry in new.walk(new_path):
        before = f"{old_path.rstrip('/')}/{entry.path}"
        after = f"{new_path.rstrip('/')}/{entry.path}"
        if not _same(old, before, new, after, entry):
            _take(new, after, entry, target)


def _same(old: TreeRoot, before: str, new: TreeRoot, after: str, entry: Entry) -> bool:
    try:
        status = old.status(before, follow=False)
    except OSError:
        return False
    if (status.st_mode, status.st_uid, status.st_gid) != (
        entry.status.st_mode,
        entry.status.st_uid,
        entry.status.st_gid,
    ):
        return False
    if stat.S_ISLNK(status.st_mode):
        return old.link_target(before) == new.link_target(after)
    if not stat.S_ISREG(status.st_mode):
        return True
    return status.st_size == entry.status.st_size and _same_bytes(old, before, new, after)


def _same_bytes(old: TreeRoot, before: str, new: TreeRoot, after: str) -> bool:
    with os.fdopen(old.open(before), "rb") as one, os.fdopen(new.open(after), "rb") as other:
        while True:
            data = one.read(_CHUNK)
            if data != other.read(_CHUNK):
                return False
            if not data:
                return True


def _take(new: TreeRoot, after: str, entry: Entry, target: TreeRoot) -> None:
    status = entry.status
    if entry.is_folder:
        target.make_folders(entry.path, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid))
    elif stat.S_ISLNK(status.st_mode):
        target.make_folders(os.path.dirname(entry.path))  # noqa: PTH120 - paths of another root
        with target.parent(entry.path) as (folder, name):
            os.symlink(new.link_target(after), name, dir_fd=folder)
    elif stat.S_ISREG(status.st_mode):
        copy_file(new, after, target, entry.path, CopyOptions())
