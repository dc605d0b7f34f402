"""The filter of system calls that commands run under, by seccomp(2).

It refuses what Docker's default profile refuses to containers without further capabilities. That profile names what is
allowed; here what is refused is named, so that calls of later kernels reach the kernel, which knows the namespaces.

Numbers: Linux `arch/x86/entry/syscalls/syscall_64.tbl` and `syscall_32.tbl`, `include/uapi/asm-generic/unistd.h`. The
program: struct sock_filter of linux/filter.h over struct seccomp_data of linux/seccomp.h.
"""

import errno
import platform
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from task_manager.embedded_engine import kernel

# The number of each refused call on x86_64, i386 and aarch64; -1 where an architecture has none.
REFUSED = {
    "acct": (163, 51, 89),
    "add_key": (248, 286, 217),
    "bpf": (321, 357, 280),
    "clock_settime": (227, 264, 112),
    "clock_settime64": (-1, 404, -1),
    "create_module": (174, 127, -1),
    "delete_module": (176, 129, 106),
    "fanotify_init": (300, 338, 262),
    "finit_module": (313, 350, 273),
    "fsconfig": (431, 431, 431),
    "fsmount": (432, 432, 432),
    "fsopen": (430, 430, 430),
    "fspick": (433, 433, 433),
    "get_kernel_syms": (177, 130, -1),
    "get_mempolicy": (239, 275, 236),
    "init_module": (175, 128, 105),
    "io_uring_enter": (426, 426, 426),
    "io_uring_register": (427, 427, 427),
    "io_uring_setup": (425, 425, 425),
    "ioperm": (173, 101, -1),
    "iopl": (172, 110, -1),
    "kcmp": (312, 349, 272),
    "kexec_file_load": (320, -1, 294),
    "kexec_load": (246, 283, 104),
    "keyctl": (250, 288, 219),
    "lookup_dcookie": (212, 253, 18),
    "mbind": (237, 274, 235),
    "migrate_pages": (256, 294, 238),
    "mount": (165, 21, 40),
    "mount_setattr": (442, 442, 442),
    "move_mount": (429, 429, 429),
    "move_pages": (279, 317, 239),
    "nfsservctl": (180, 169, 42),
    "open_by_handle_at": (304, 342, 265),
    "open_tree": (428, 428, 428),
    "open_tree_attr": (467, 467, 467),
    "perf_event_open": (298, 336, 241),
    "pidfd_getfd": (438, 438, 438),
    "pivot_root": (155, 217, 41),
    "process_madvise": (440, 440, 440),
    "query_module": (178, 167, -1),
    "quotactl": (179, 131, 60),
    "quotactl_fd": (443, 443, 443),
    "reboot": (169, 88, 142),
    "request_key": (249, 287, 218),
    "set_mempolicy": (238, 276, 237),
    "set_mempolicy_home_node": (450, 450, 450),
    "setdomainname": (171, 121, 162),
    "sethostname": (170, 74, 161),
    "setns": (308, 346, 268),
    "settimeofday": (164, 79, 170),
    "stime": (-1, 25, -1),
    "swapoff": (168, 115, 225),
    "swapon": (167, 87, 224),
    "sysfs": (139, 135, -1),
    "_sysctl": (156, 149, -1),
    "syslog": (103, 103, 116),
    "umount": (-1, 22, -1),
    "umount2": (166, 52, 39),
    "uselib": (134, 86, -1),
    "userfaultfd": (323, 374, 282),
    "ustat": (136, 62, -1),
    "vhangup": (153, 111, 58),
    "vm86": (-1, 166, -1),
    "vm86old": (-1, 113, -1),
}
# Those of which some arguments are refused, or that are said to be missing.
CONDITIONAL = {
    "clone": (56, 120, 220),
    "clone3": (435, 435, 435),
    "personality": (135, 136, 92),
    "socket": (41, 359, 198),
    "unshare": (272, 310, 97),
}
# linux/sched.h: those of mounts, UTS, IPC, users, processes, networks and cgroups; for unshare also of clocks.
_NAMESPACES = 0x7E02_0000
_CLOCKS = 0x80
# PER_LINUX and PER_LINUX32, each with UNAME26 or not, and the question for the present one; linux/personality.h.
_PERSONALITIES = (0x0, 0x8, 0x2_0000, 0x2_0008, 0xFFFF_FFFF)
_AF_VSOCK = 40
_GROUP = 8
_X32_CALLS = 0x4000_0000
_SKIPPED_CALL = 0xFFFF_FFFF

_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _JUMP, _JUMP_EQUAL, _JUMP_FROM, _JUMP_IF_SET, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _FIRST_ARGUMENT_OFFSET = 0, 4, 16
_KILL_PROCESS, _ERRNO, _ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000


@dataclass(frozen=True)
class _Interface:
    """One way to call the kernel: its AUDIT_ARCH number of linux/audit.h, and its column of the tables."""

    architecture: int
    column: int


_X86_64, _I386, _AARCH64 = _Interface(0xC000_003E, 0), _Interface(0x4000_0003, 1), _Interface(0xC000_00B7, 2)
_MACHINES = {"x86_64": (_X86_64, _I386), "aarch64": (_AARCH64,)}


def assemble(machine: str) -> bytes:
    """Return the filter for a machine, as `platform.machine` names it; empty where its numbers are not known."""
    interfaces = _MACHINES.get(machine, ())
    if not interfaces:
        return b""
    blocks = [_dispatched(interface) for interface in interfaces]
    return b"".join([_load(_ARCHITECTURE_OFFSET), *blocks, _return(_KILL_PROCESS)])


def available_filter() -> bytes:
    """Return the filter for this machine; empty where the kernel takes none, or its numbers are not known."""
    return assemble(platform.machine()) if kernel.takes_filters() else b""


def _dispatched(interface: _Interface) -> bytes:
    """Return what decides on calls by one interface, and passes the others by."""
    block = _decisions(interface)
    skip = _instruction(_JUMP, len(block) // _INSTRUCTION.size)
    return _instruction(_JUMP_EQUAL, interface.architecture, yes=1) + skip + block


def _decisions(interface: _Interface) -> bytes:
    parts = [_load(_NUMBER_OFFSET)]
    if interface is _X86_64:
        # A tracer lets a call be skipped by this number, which is no x32 one.
        parts += [_if_equal(_SKIPPED_CALL, _return(_ALLOW)), _x32()]
    decisions = sorted(_by_number(interface.column).items())
    parts += [_group(decisions[start : start + _GROUP]) for start in range(0, len(decisions), _GROUP)]
    return b"".join([*parts, _return(_ALLOW)])


def _by_number(column: int) -> dict[int, bytes]:
    """Return what is done about each call that is not simply allowed."""
    refused = {numbers[column]: _refuse(errno.EPERM) for numbers in REFUSED.values() if numbers[column] >= 0}
    conditions = {
        "clone": _unless_flags(_NAMESPACES),
        "unshare": _unless_flags(_NAMESPACES | _CLOCKS),
        # Its flags are out of a filter's reach; programs fall back on clone.
        "clone3": _refuse(errno.ENOSYS),
        "personality": _if_one_of(_PERSONALITIES),
        "socket": _unless_equal(_AF_VSOCK),
    }
    return refused | {CONDITIONAL[name][column]: decision for name, decision in conditions.items()}


def _group(decisions: Sequence[tuple[int, bytes]]) -> bytes:
    """Return the decisions on some calls of neighbouring numbers, passed by for greater ones.

    The kernel tries a new filter on every number that there is, so its length would count for each command.
    """
    body = b"".join(_if_equal(number, decision) for number, decision in decisions) + _return(_ALLOW)
    return _instruction(_JUMP_FROM, decisions[-1][0] + 1, yes=len(body) // _INSTRUCTION.size) + body


def _x32() -> bytes:
    return _instruction(_JUMP_FROM, _X32_CALLS, no=1) + _refuse(errno.ENOSYS)


def _unless_flags(flags: int) -> bytes:
    return _load(_FIRST_ARGUMENT_OFFSET) + _instruction(_JUMP_IF_SET, flags, no=1) + _decided(errno.EPERM)


def _unless_equal(value: int) -> bytes:
    return _load(_FIRST_ARGUMENT_OFFSET) + _instruction(_JUMP_EQUAL, value, no=1) + _decided(errno.EPERM)


def _if_one_of(values: Iterable[int]) -> bytes:
    allowed = [_if_equal(value, _return(_ALLOW)) for value in values]
    return b"".join([_load(_FIRST_ARGUMENT_OFFSET), *allowed, _refuse(errno.EPERM)])


def _decided(code: int) -> bytes:
    """Return the two ends of a condition: refused, then allowed."""
    return _refuse(code) + _return(_ALLOW)


def _if_equal(value: int, then: bytes) -> bytes:
    """Return instructions that are passed by unless what is loaded equals a value."""
    return _instruction(_JUMP_EQUAL, value, no=len(then) // _INSTRUCTION.size) + then


def _refuse(code: int) -> bytes:
    return _return(_ERRNO | code)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _return(action: int) -> bytes:
    return _instruction(_RETURN, action)


def _instruction(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, yes, no, value)
