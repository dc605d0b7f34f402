"""System calls do what the standard library's could not."""

import subprocess
import sys

IGNORE_ALL = """
import ctypes, os, sys
action = (1).to_bytes(8, sys.byteorder) + bytes(24)  # SIG_IGN
call = {"x86_64": 13}.get(os.uname().machine, 134)
for number in {*range(1, 65)} - {9, 19}:
    assert ctypes.CDLL(None).syscall(call, number, action, None, ctypes.c_size_t(8)) == 0
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""
FORGET = """
from task_manager.embedded_engine import kernel
kernel.forget_inherited_signals()
print(next(line for line in open("/proc/self/status") if line.startswith("SigIgn")).split()[1])
"""


def test_signals_that_the_starter_ignored_are_forgotten() -> None:
    done = subprocess.run([sys.executable, "-c", IGNORE_ALL, FORGET], capture_output=True, text=True, check=True)
    broken_pipe_and_file_too_large = 1 << 12 | 1 << 24
    assert int(done.stdout, 16) == broken_pipe_and_file_too_large
