"""File systems of a few MiB, to see what happens when a disk is full."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, *, size: int = 4 << 20) -> Iterator[Path]:
    """Mounts an empty file system that anybody may write to, until the block ends; skips the test where it cannot.

    Root mounts it on the folder. For an ordinary user it lives in a namespace of its own and is reached through
    `/proc`, by a path that must not be resolved; what resolves it ends in the folder, where nothing can be written.

    Args:
        folder: An empty folder.
        size: Its size in bytes.
    """
    folder.chmod(0o500)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "small-disk", str(folder)]
    if os.geteuid() == 0:
        with _mounted(mount, folder) as path:
            yield path
    else:
        with _mounted_in_namespace(mount, folder) as path:
            yield path


@contextlib.contextmanager
def _mounted(mount: list[str], folder: Path) -> Iterator[Path]:
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def _mounted_in_namespace(mount: list[str], folder: Path) -> Iterator[Path]:
    """Mounts in a user and a mount namespace that live as long as a process waiting for the end of its input."""
    enter = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", '"$@" && echo mounted && read -r _', "sh"]
    with subprocess.Popen(
        [*enter, *mount], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stderr
        if holder.stdout.readline() != "mounted\n":
            pytest.skip(f"no tmpfs can be mounted in a user namespace: {holder.stderr.read().strip()}")
        try:
            yield Path(f"/proc/{holder.pid}/root{folder}")
        finally:
            holder.stdin.close()
