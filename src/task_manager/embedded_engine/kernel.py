"""Linux system calls that the standard library does not offer.

Calls are made with the interpreter lock held (`ctypes.PyDLL`), so that a process cloned by one of them starts with a
sound interpreter. Numbers: Linux `include/uapi/asm-generic/unistd.h`; those from 424 on are equal on every
architecture.
"""

import ctypes
import errno
import os
import platform
import re
import signal
import struct
import sys
from collections.abc import Collection, Sequence

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000
MS_SLAVE = 0x8_0000
MNT_DETACH = 0x2

OPEN_TREE_CLONE = 0x1
AT_RECURSIVE = 0x8000
AT_EMPTY_PATH = 0x1000
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8

RESOLVE_NO_MAGICLINKS = 0x2
RESOLVE_IN_ROOT = 0x10

_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_MOVE_MOUNT_T_EMPTY_PATH = 0x40

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_CAPBSET_DROP = 24
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x2008_0522

_PID_MAX_OF_NAMESPACES = (6, 14)
_FILTER_INSTRUCTION_BYTES = 8
_SIGNAL_SET_BYTES = 8
_SIGNAL_ACTION_BYTES = 32
_LAST_SIGNAL = 64
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_CLONE3 = 435
_SYS_OPENAT2 = 437
_SYS_MOUNT_SETATTR = 442
_ARCHITECTURES = {
    "x86_64": {"pivot_root": 155, "capset": 126, "rt_sigprocmask": 14, "rt_sigaction": 13},
    "aarch64": {"pivot_root": 41, "capset": 91, "rt_sigprocmask": 135, "rt_sigaction": 134},
    "riscv64": {"pivot_root": 41, "capset": 91, "rt_sigprocmask": 135, "rt_sigaction": 134},
}

_libc = ctypes.PyDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise _error()
    return result


def _error(path: str | None = None) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), path) if path else OSError(code, os.strerror(code))


def _number(name: str) -> int:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call numbers are known for {machine}")
    return _ARCHITECTURES[machine][name]


def clone(flags: int) -> int:
    """Clone this process into new namespaces; like `os.fork`, return 0 in the child and the child's id in the parent.

    Args:
        flags: `CLONE_NEW…` flags, or 0.

    Raises:
        OSError: The kernel refused.
    """
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
    arguments = struct.pack("8Q", flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    return _call(_SYS_CLONE3, arguments, ctypes.c_size_t(len(arguments)))


def unshare(flags: int) -> None:
    """Move this single-threaded process into new namespaces.

    Raises:
        OSError: The kernel refused.
    """
    if _libc.unshare(ctypes.c_int(flags)) < 0:
        raise _error()


def enter_namespace(descriptor: int) -> None:
    """Move this process into the namespace that a descriptor stands for.

    Raises:
        OSError: The kernel refused.
    """
    if _libc.setns(ctypes.c_int(descriptor), ctypes.c_int(0)) < 0:
        raise _error()


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Attach a file system, or change how it is attached, by the older system call.

    Raises:
        OSError: The kernel refused; its file name is the target.
    """
    arguments = (source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode() or None)
    if _libc.mount(*arguments) < 0:
        raise _error(target)


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    """Unmount; lazily unless told otherwise.

    Raises:
        OSError: The kernel refused; its file name is the target.
    """
    if _libc.umount2(os.fsencode(target), ctypes.c_int(flags)) < 0:
        raise _error(target)


def new_mount(kind: str, options: Sequence[tuple[str, str | None]], attributes: int = 0) -> int:
    """Create a file system that is mounted nowhere yet and return a descriptor of its root.

    Args:
        kind: The file system's type, such as `overlay`.
        options: Names and values in order; a name may come again, a flag has no value.
        attributes: `MOUNT_ATTR_…` flags.

    Raises:
        OSError: The kernel refused.
    """
    context = _call(_SYS_FSOPEN, kind.encode(), ctypes.c_uint(_FSOPEN_CLOEXEC))
    try:
        for name, value in options:
            command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
            text = None if value is None else os.fsencode(value)
            _call(_SYS_FSCONFIG, ctypes.c_int(context), ctypes.c_uint(command), name.encode(), text, ctypes.c_int(0))
        create = ctypes.c_uint(_FSCONFIG_CMD_CREATE)
        _call(_SYS_FSCONFIG, ctypes.c_int(context), create, None, None, ctypes.c_int(0))
        flags = (ctypes.c_uint(_FSMOUNT_CLOEXEC), ctypes.c_uint(attributes))
        return _call(_SYS_FSMOUNT, ctypes.c_int(context), *flags)
    finally:
        os.close(context)


def open_tree(path: str, *, at: int = -100, recursive: bool = False) -> int:
    """Clone the mount at `path` into one that is mounted nowhere yet and return a descriptor of its root.

    Args:
        path: What to clone; empty for the descriptor `at` itself.
        at: The folder that a relative path starts from; the working folder by default.
        recursive: Whether mounts beneath come along.

    Raises:
        OSError: The kernel refused.
    """
    flags = OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    try:
        return _call(_SYS_OPEN_TREE, ctypes.c_int(at), os.fsencode(path), ctypes.c_uint(flags))
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


def move_mount(mounted: int, target: int) -> None:
    """Attach a mount to a file or folder, both given as descriptors.

    Raises:
        OSError: The kernel refused.
    """
    flags = ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH)
    _call(_SYS_MOVE_MOUNT, ctypes.c_int(mounted), b"", ctypes.c_int(target), b"", flags)


def set_mount_attributes(mounted: int, attributes: int, *, recursive: bool = False) -> None:
    """Set `MOUNT_ATTR_…` flags on a mount given as a descriptor of its root.

    Raises:
        OSError: The kernel refused.
    """
    # struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
    change = struct.pack("4Q", attributes, 0, 0, 0)
    flags = ctypes.c_uint(AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0))
    _call(_SYS_MOUNT_SETATTR, ctypes.c_int(mounted), b"", flags, change, ctypes.c_size_t(len(change)))


def open_in_root(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a path as if `root` were the root folder: absolute links and `..` stay inside it.

    Raises:
        OSError: As from open(2); its file name is the path.
    """
    # struct open_how: flags, mode, resolve.
    how = struct.pack("3Q", flags | os.O_CLOEXEC, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    while True:
        try:
            return _call(_SYS_OPENAT2, ctypes.c_int(root), os.fsencode(path), how, ctypes.c_size_t(len(how)))
        except OSError as error:
            # openat2(2): `..` raced with a rename somewhere in the system; trying again is the documented answer.
            if error.errno != errno.EAGAIN:
                raise OSError(error.errno, error.strerror, path) from None


def forget_inherited_signals() -> None:
    """Give every signal its default effect, also those that the C library keeps to itself and `signal` does not touch.

    Whoever started this process may have ignored some, which signal(7) hands down to every program it starts. Those
    that the interpreter itself ignores stay so; `default_signals` ends that.

    Raises:
        OSError: The kernel refused.
    """
    default = bytes(_SIGNAL_ACTION_BYTES)
    for number in range(1, _LAST_SIGNAL + 1):
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ):
            size = ctypes.c_size_t(_SIGNAL_SET_BYTES)
            _call(_number("rt_sigaction"), ctypes.c_int(number), default, None, size)


def default_signals(blocked: Collection[int] = ()) -> None:
    """Give every signal that the interpreter or a launcher handles its default effect, and let every one through.

    That includes those that the C library keeps to itself and `signal` therefore leaves blocked.

    Args:
        blocked: The signals that stay blocked for now.

    Raises:
        OSError: The kernel refused.
    """
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    mask = sum(1 << (number - 1) for number in blocked).to_bytes(_SIGNAL_SET_BYTES, sys.byteorder)
    _call(_number("rt_sigprocmask"), ctypes.c_int(signal.SIG_SETMASK), mask, None, ctypes.c_size_t(len(mask)))


def pivot_root_here() -> None:
    """Make the working folder the root of this mount namespace and drop the old root.

    Raises:
        OSError: The kernel refused.
    """
    _call(_number("pivot_root"), b".", b".")
    unmount(".")
    os.chdir("/")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def name_process(name: bytes) -> None:
    """Set this process's name, as `ps` shows it; the kernel keeps 15 bytes."""
    given = ctypes.create_string_buffer(name)
    _prctl(_PR_SET_NAME, ctypes.addressof(given))


def hide_from_tracing() -> None:
    """Keep other processes of the same user from reading this one's memory and folders."""
    _prctl(_PR_SET_DUMPABLE, 0)


def show_to_tracing() -> None:
    """Undo `hide_from_tracing`, so that this process may write its own files in /proc."""
    _prctl(_PR_SET_DUMPABLE, 1)


def forbid_new_privileges() -> None:
    """Make set-user-id programs and file capabilities without effect from here on."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def filter_calls(program: bytes) -> None:
    """Put this process and its children under a filter of system calls, for good.

    Args:
        program: Instructions, struct sock_filter of linux/filter.h.

    Raises:
        OSError: The kernel refused, such as before `forbid_new_privileges`.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count and, at the next place for one, a pointer.
    described = struct.pack("@HP", len(program) // _FILTER_INSTRUCTION_BYTES, ctypes.addressof(instructions))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(described, len(described)))


def bounds_process_namespaces() -> bool:
    """Return whether kernel.pid_max can be set, and belongs to the process namespace it is set in: Linux 6.14."""
    if os.statvfs("/proc/sys").f_flag & os.ST_RDONLY:
        return False
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    return version is not None and (int(version[1]), int(version[2])) >= _PID_MAX_OF_NAMESPACES


def takes_filters() -> bool:
    """Return whether the kernel filters system calls; it tells by refusing the address of no filter, seccomp(2)."""
    try:
        _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, None)
    except OSError as error:
        return error.errno == errno.EFAULT
    return False


def restrict_bounding_set(keep: frozenset[int]) -> None:
    """Drop every capability but `keep` from what this process and its children can ever gain."""
    for capability in range(_last_capability() + 1):
        if capability not in keep:
            _prctl(_PR_CAPBSET_DROP, capability)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def set_capabilities(keep: frozenset[int]) -> None:
    """Reduce this process's effective, permitted and inheritable capabilities to `keep` (inheritable to none).

    Raises:
        OSError: The kernel refused.
    """
    mask = sum(1 << capability for capability in keep)
    low, high = mask & 0xFFFF_FFFF, mask >> 32
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _call(_number("capset"), header, struct.pack("6I", low, low, 0, high, high, 0))


def _last_capability() -> int:
    try:
        with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read())
    except OSError:
        return 40


def _prctl(option: int, value: int, pointer: object = None) -> None:
    zero = ctypes.c_ulong(0)
    if _libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), pointer, zero, zero) < 0:
        raise _error()


def sync_file_system(descriptor: int) -> None:
    """Write everything of the file system that holds `descriptor` to its device.

    Raises:
        OSError: Writing failed, such as for want of space.
    """
    if _background_libc.syncfs(ctypes.c_int(descriptor)) < 0:
        raise _error()


# `syncfs` may take seconds: other threads go on meanwhile.
_background_libc = ctypes.CDLL(None, use_errno=True)
