"""Commands are refused the system calls that containers are refused by default, and no others."""

import errno
import json
import platform

import dagger
import pytest

from task_manager.embedded_engine.sandbox.seccomp import CONDITIONAL, REFUSED, assemble

COLUMN = {"x86_64": 0, "aarch64": 2}.get(platform.machine(), -1)
pytestmark = pytest.mark.skipif(COLUMN < 0, reason=f"no filter is known for {platform.machine()}")
CALL = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(argument) for argument in arguments))
    return ctypes.get_errno()
print(json.dumps([call(*request) for request in json.loads(sys.argv[1])]))
"""
NEW_USER, NEW_NETWORK, FILES, SIGNAL_CHILD = 0x1000_0000, 0x4000_0000, 0x400, 17


async def answers(dag: dagger.Client, requests: list[list[int]]) -> list[int]:
    """Returns the error numbers that system calls give inside a command, 0 for none."""
    toolchain = dag.container().from_("task-manager.invalid/host-toolchain")
    return list(json.loads(await toolchain.with_exec(["python", "-c", CALL, json.dumps(requests)]).stdout()))


def number(name: str) -> int:
    return (REFUSED | CONDITIONAL)[name][COLUMN]


async def test_every_call_of_the_table_is_refused(dag: dagger.Client) -> None:
    known = {name: numbers[COLUMN] for name, numbers in REFUSED.items() if numbers[COLUMN] >= 0}
    given = await answers(dag, [[number, 0, 0, 0, 0, 0, 0] for number in known.values()])
    assert {name for name, code in zip(known, given, strict=True) if code != errno.EPERM} == set()


async def test_no_new_namespace_can_be_made(dag: dagger.Client) -> None:
    requests = [
        [number("unshare"), NEW_USER],
        [number("clone"), NEW_USER | SIGNAL_CHILD, 0, 0, 0, 0],
        [number("unshare"), NEW_USER | NEW_NETWORK | FILES],
        [number("clone3"), 0, 0],
    ]
    assert await answers(dag, requests) == [errno.EPERM, errno.EPERM, errno.EPERM, errno.ENOSYS]


@pytest.mark.parametrize("user", ["root", "1000"])
async def test_a_program_that_makes_a_namespace_is_told_so(busybox: dagger.Container, user: str) -> None:
    made = busybox.with_user(user).with_exec(["unshare", "-U", "true"], expect=dagger.ReturnType.FAILURE)
    assert "Operation not permitted" in await made.stderr()


async def test_what_is_harmless_of_refused_calls_is_allowed(dag: dagger.Client) -> None:
    vsock, internet, stream, ask, uname26 = 40, 2, 1, 0xFFFF_FFFF, 0x2_0000
    requests = [
        [number("unshare"), FILES],
        [number("socket"), internet, stream, 0],
        [number("socket"), vsock, stream, 0],
        [number("personality"), ask],
        [number("personality"), uname26],
        [number("personality"), 0x40_0000],
    ]
    assert await answers(dag, requests) == [0, 0, errno.EPERM, 0, 0, errno.EPERM]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has a second way to make calls")
async def test_calls_of_the_x32_kind_do_not_exist(dag: dagger.Client) -> None:
    x32, getpid = 0x4000_0000, 39
    assert await answers(dag, [[getpid], [x32 | getpid], [x32 | number("mount"), 0, 0, 0, 0, 0]]) == [
        0,
        errno.ENOSYS,
        errno.ENOSYS,
    ]


async def test_a_filter_is_on_whoever_runs_the_command(busybox: dagger.Container) -> None:
    for base in (busybox, busybox.with_user("1000")):
        assert await base.with_exec(["grep", "^Seccomp:", "/proc/self/status"]).stdout() == "Seccomp:\t2\n"
        run = base.with_exec(["grep", "^Seccomp:", "/proc/self/status"], no_init=True)
        assert await run.stdout() == "Seccomp:\t2\n"


async def test_threads_processes_and_tracing_work(dag: dagger.Client) -> None:
    script = """
import concurrent.futures, ctypes, os, signal, subprocess
with concurrent.futures.ThreadPoolExecutor(8) as threads:
    assert sum(threads.map(abs, range(100))) == 4950
assert subprocess.run(["sh", "-c", "echo $((6 * 7)) | cat"], capture_output=True).stdout == b"42\\n"
traced = os.fork()
if traced == 0:
    ctypes.CDLL(None).ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(7)
assert os.WIFSTOPPED(os.waitpid(traced, 0)[1])
assert ctypes.CDLL(None).ptrace(7, traced, 0, 0) == 0
assert os.waitstatus_to_exitcode(os.waitpid(traced, 0)[1]) == 7
print("fine")
"""
    toolchain = dag.container().from_("task-manager.invalid/host-toolchain")
    assert await toolchain.with_exec(["python", "-c", script]).stdout() == "fine\n"


def test_a_machine_whose_numbers_are_not_known_has_no_filter() -> None:
    assert assemble("riscv64") == b""
    assert all(len(assemble(machine)) % 8 == 0 < len(assemble(machine)) for machine in ("x86_64", "aarch64"))
