"""Overlays merge layers, however many there are and however the kernel is asked."""

import subprocess
import sys
from pathlib import Path

import pytest

# Entering a user namespace takes a process of its own, with one thread.
SCRIPT = """
import errno, os, sys
from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.sandbox import overlay
from task_manager.embedded_engine.sandbox.user_namespace import enter, planned_map

folder, count, old_kernel = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "old"
enter(planned_map())
if old_kernel:
    def refuse(*_):
        raise OSError(errno.EINVAL, "unknown option")
    kernel.new_mount = refuse
def names(mounted):
    return sorted(os.listdir(os.open(".", os.O_RDONLY, dir_fd=mounted)))
layers = [f"{folder}/{'long' * 20}{number}" for number in range(count)]
for number, layer in enumerate(layers):
    os.mkdir(layer)
    open(f"{layer}/f{number}", "w").close()
for name in ("upper", "work"):
    os.mkdir(f"{folder}/{name}")
merged = overlay.mount_overlay(layers, f"{folder}/upper", f"{folder}/work")
assert len(names(merged)) == count
os.unlink("f0", dir_fd=merged)
os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=merged))
os.close(merged)
again = overlay.mount_overlay([*layers, f"{folder}/upper"])
print(names(again)[0], len(names(again)), "new" in names(again))
"""


@pytest.mark.parametrize("kernel", ["new", "old"])
@pytest.mark.parametrize("count", [1, 2, 120])
def test_all_layers_are_seen_and_changes_go_to_the_upper_folder(tmp_path: Path, count: int, kernel: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(count), kernel],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    first = "f1" if count > 1 else "new"
    assert done.stdout.split() == [first, str(count), "True"]
