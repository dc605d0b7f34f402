"""The file system that a command sees: its root, its mounts, /dev, /proc, /sys."""

import errno
import os
import stat
from contextlib import suppress

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.sandbox.overlay import mount_overlay
from task_manager.embedded_engine.sandbox.spec import MountSpec, SandboxSpec
from task_manager.embedded_engine.sandbox.users import resolve_owner

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
# What container engines hide or freeze; the OCI runtime specification's defaults.
_MASKED = ("kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug")
_MASKED_FOLDERS = ("acpi", "scsi", "asound")
_FROZEN = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_QUIET = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV | kernel.MOUNT_ATTR_NOEXEC


class Root:
    """A root folder under construction, with the paths that had to be made for mounts to land on."""

    def __init__(self, descriptor: int, place: str, workbench: str) -> None:
        self.descriptor = descriptor
        self._place = place
        self.created: list[str] = []
        self._workbench = workbench

    def attach(self, mounted: int, target: str, *, is_file: bool = False) -> None:
        """Attach a mount at `target`, making it first where it is missing; closes `mounted`."""
        landing = self.ensure(target, is_file=is_file)
        try:
            kernel.move_mount(mounted, landing)
        finally:
            os.close(landing)
            os.close(mounted)

    def ensure(self, path: str, *, is_file: bool = False) -> int:
        """Return a descriptor (O_PATH) of `path`, made as a folder or an empty file where it is missing."""
        with suppress(FileNotFoundError):
            return self.open(path)
        parent, name = os.path.split(path.rstrip("/"))
        folder = self.ensure(parent or "/")
        try:
            place = os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115 - as in `_make`
            target = self._make(place, name, is_file=is_file)
        finally:
            os.close(folder)
        # A link that led nowhere leads somewhere once what it names is there.
        return self.open(path) if target is None else self.ensure(os.path.join(parent, target), is_file=is_file)  # noqa: PTH118

    def open(self, path: str) -> int:
        """Return a descriptor (O_PATH) of `path`, its links followed inside the root."""
        return kernel.open_in_root(self.descriptor, path, os.O_PATH)

    def part_of(self, mounted: int, path: str) -> int:
        """Return a mount of one file or folder inside an unattached mount; closes `mounted`.

        Kernels before 6.15 clone attached mounts only, so it is attached for that moment.
        """
        bench = os.open(self._workbench, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        kernel.move_mount(mounted, bench)
        os.close(bench)
        try:
            inner = kernel.open_in_root(mounted, path, os.O_PATH)
            try:
                return kernel.open_tree("", at=inner)
            finally:
                os.close(inner)
        finally:
            kernel.unmount(self._workbench)
            os.close(mounted)

    def _make(self, place: str, name: str, *, is_file: bool) -> str | None:
        """Make a folder or an empty file; where a link is in the way, return where that leads."""
        path = f"{place}/{name}"
        try:
            if is_file:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
            else:
                os.mkdir(path, 0o755)  # noqa: PTH102 - what is imported here every sandbox inherits
        except FileExistsError:
            return os.readlink(path)  # noqa: PTH115 - likewise
        self.created.append(path.removeprefix(self._place))
        return None


def build_root(spec: SandboxSpec) -> Root:
    """Mount everything that the spec asks for and return the root, not yet entered.

    Raises:
        OSError: A mount was refused, or a path is not what it must be.
    """
    bench, place = f"{spec.mount_points}/part", f"{spec.mount_points}/root"
    root = Root(mount_overlay(spec.root.layers, spec.root.upper, spec.root.work), os.path.realpath(place), bench)
    landing = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    kernel.move_mount(root.descriptor, landing)
    os.close(landing)
    _attach_proc(root)
    _attach_dev(root)
    _attach_sys(root, own_network=spec.network != "host")
    for mount in sorted(spec.mounts, key=lambda mount: mount.target.rstrip("/").count("/")):
        _attach(root, mount)
    return root


def _attach_proc(root: Root) -> None:
    root.attach(kernel.new_mount("proc", [], _QUIET), "/proc")
    for name in _FROZEN:
        _freeze(root, f"/proc/{name}")
    for name in _MASKED:
        if _exists(root, f"/proc/{name}"):
            root.attach(kernel.open_tree("/dev/null"), f"/proc/{name}")
    for name in _MASKED_FOLDERS:
        if _exists(root, f"/proc/{name}"):
            root.attach(kernel.new_mount("tmpfs", [("size", "0")], kernel.MOUNT_ATTR_RDONLY), f"/proc/{name}")


def _freeze(root: Root, path: str) -> None:
    if not _exists(root, path):
        return
    opened = root.open(path)
    mounted = kernel.open_tree("", at=opened)
    os.close(opened)
    kernel.set_mount_attributes(mounted, kernel.MOUNT_ATTR_RDONLY | _QUIET)
    root.attach(mounted, path)


def _exists(root: Root, path: str) -> bool:
    try:
        os.close(root.open(path))
    except OSError:
        return False
    return True


def _attach_dev(root: Root) -> None:
    devices = kernel.new_mount("tmpfs", [("mode", "755"), ("size", "65536k")], kernel.MOUNT_ATTR_NOSUID)
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, name, dir_fd=devices)
    for name in ("pts", "shm"):
        os.mkdir(name, 0o755, dir_fd=devices)
    for name in _DEVICES:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666, dir_fd=devices))
    root.attach(os.dup(devices), "/dev")
    os.close(devices)
    for name in _DEVICES:
        root.attach(kernel.open_tree(f"/dev/{name}"), f"/dev/{name}")
    terminals: list[tuple[str, str | None]] = [("newinstance", None), ("ptmxmode", "0666"), ("mode", "620")]
    root.attach(kernel.new_mount("devpts", terminals, kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NOEXEC), "/dev/pts")
    shared: list[tuple[str, str | None]] = [("mode", "1777"), ("size", "65536k")]
    root.attach(kernel.new_mount("tmpfs", shared, _QUIET), "/dev/shm")  # noqa: S108 - the container's


def _attach_sys(root: Root, *, own_network: bool) -> None:
    # A sysfs can only be mounted by who owns the network namespace; otherwise the host's is shown. Without either,
    # programs find /sys empty, as in an engine inside another container.
    with suppress(OSError):
        if own_network:
            mounted = kernel.new_mount("sysfs", [], _QUIET | kernel.MOUNT_ATTR_RDONLY)
        else:
            mounted = kernel.open_tree("/sys", recursive=True)
            kernel.set_mount_attributes(mounted, _QUIET | kernel.MOUNT_ATTR_RDONLY, recursive=True)
        root.attach(mounted, "/sys")


def _attach(root: Root, mount: MountSpec) -> None:
    makers = {"overlay": _overlay_mount, "bind": _bind_mount, "tmpfs": _memory_mount, "content": _content_mount}
    mounted = makers[mount.kind](root, mount)
    if mount.read_only:
        kernel.set_mount_attributes(mounted, kernel.MOUNT_ATTR_RDONLY, recursive=True)
    root.attach(mounted, mount.target, is_file=mount.is_file)


def _overlay_mount(root: Root, mount: MountSpec) -> int:
    if mount.overlay is None:
        raise OSError(errno.EINVAL, "the mount names no layers", mount.target)
    merged = mount_overlay(mount.overlay.layers, mount.overlay.upper, mount.overlay.work)
    return merged if mount.subpath == "/" else root.part_of(merged, mount.subpath)


def _bind_mount(_: Root, mount: MountSpec) -> int:
    # A user namespace may not take a part of a tree without the mounts beneath it.
    return kernel.open_tree(mount.source, recursive=True)


def _memory_mount(_: Root, mount: MountSpec) -> int:
    options: list[tuple[str, str | None]] = [("source", "tmpfs"), ("mode", "1777")]
    if mount.size is not None:
        options.append(("size", str(mount.size)))
    return kernel.new_mount("tmpfs", options, kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV)


def _content_mount(root: Root, mount: MountSpec) -> int:
    data = mount.content.encode("latin-1")
    memory = kernel.new_mount("tmpfs", [("mode", "700"), ("size", str(len(data) + 65536))], _QUIET)
    file = os.open("content", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, stat.S_IRUSR, dir_fd=memory)
    with os.fdopen(file, "wb") as writer:
        writer.write(data)
    if mount.owner:
        os.chown("content", *resolve_owner(root.descriptor, mount.owner), dir_fd=memory)
    os.chmod("content", mount.mode, dir_fd=memory)
    return root.part_of(memory, "content")
