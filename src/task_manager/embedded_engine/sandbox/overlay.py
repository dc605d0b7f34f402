"""Overlay mounts that are attached nowhere, made from folders of layers."""

import errno
import os
from collections.abc import Sequence
from contextlib import ExitStack
from tempfile import TemporaryDirectory

from task_manager.embedded_engine import kernel

# fsconfig(2) takes strings of up to 256 bytes, the terminating one included.
_LONGEST_STRING = 255


def mount_overlay(layers: Sequence[str], upper: str | None = None, work: str | None = None) -> int:
    """Merge layers and return a descriptor of the merged tree's root.

    Args:
        layers: Folders, lowest first; at least two when there is no `upper`.
        upper: The folder that takes changes; without it the tree is read-only.
        work: An empty folder beside `upper`, for the kernel's use.

    Raises:
        OSError: The kernel refused.
    """
    with ExitStack() as opened:
        lower = [_short(layer, opened) for layer in reversed(layers)]
        writable = (_short(upper, opened), _short(work, opened)) if upper and work else None
        try:
            return kernel.new_mount("overlay", _options(lower, writable))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        return _mount_by_string(layers, upper, work)


def _options(lower: Sequence[str], writable: tuple[str, str] | None) -> list[tuple[str, str | None]]:
    options: list[tuple[str, str | None]] = [("userxattr", None)]
    options += [("lowerdir+", path) for path in lower]
    if writable:
        # `volatile` leaves flushing to the store, which flushes once for many layers.
        options += [("upperdir", writable[0]), ("workdir", writable[1]), ("volatile", None)]
    return options


def _short(path: str, opened: ExitStack, *, always: bool = False) -> str:
    if len(os.fsencode(path)) <= _LONGEST_STRING and not always:
        return path
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    opened.callback(os.close, descriptor)
    return f"/proc/self/fd/{descriptor}"


def _mount_by_string(layers: Sequence[str], upper: str | None, work: str | None) -> int:
    """Do the same with mount(2), for kernels before 6.8, which know no `lowerdir+`.

    Paths through descriptors keep the one string under mount(2)'s limit of a page and need no escaping.
    """
    with ExitStack() as opened:
        parts = ["userxattr", "lowerdir=" + ":".join(_short(path, opened, always=True) for path in reversed(layers))]
        if upper and work:
            parts += [f"upperdir={_short(upper, opened, always=True)}", f"workdir={_short(work, opened, always=True)}"]
            parts += ["volatile"]
        target = opened.enter_context(TemporaryDirectory(prefix="task-manager-engine-"))
        kernel.mount("overlay", target, "overlay", 0, ",".join(parts))
        opened.callback(kernel.unmount, target)
        return kernel.open_tree(target)
