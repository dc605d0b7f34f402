"""Programs of Dagger's SDKs for Python, TypeScript and Go start sessions themselves and get the same answers."""

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.environment import go, node, oci

SDKS: Final = Path(__file__).parent / "sdks"
LIMIT_SECONDS: Final = 300


def python_command(_: Path) -> list[Path | str]:
    return [sys.executable, SDKS / "pipelines.py"]


def typescript_command(folder: Path) -> list[Path | str]:
    program = Path(shutil.copytree(SDKS / "typescript", folder / "typescript"))
    (program / "node_modules").symlink_to(node.node_modules(program))
    return [node.node_program(), program / "pipelines.ts"]


def go_command(folder: Path) -> list[Path | str]:
    program = folder / "pipelines"
    go.build_program(SDKS / "go", program)
    return [program]


COMMANDS: Final[Mapping[str, Callable[[Path], Sequence[Path | str]]]] = {
    "python": python_command,
    "typescript": typescript_command,
    "go": go_command,
}
# Where nothing is cached yet, TypeScript's packages are fetched, and Go's are compiled.
pytestmark = [pytest.mark.timeout(900), pytest.mark.parametrize("sdk", COMMANDS)]


def test_the_same_pipelines_give_the_same_in_every_sdk(sdk: str, busybox_image: str, tmp_path: Path) -> None:
    done = run(COMMANDS[sdk](tmp_path), busybox_image, tmp_path, state_dir=tmp_path / "state")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == EXPECTED
    assert (tmp_path / "project/exported.txt").read_text() == "one\n"
    assert tree(tmp_path / "exports") == EXPORTED


def test_a_session_that_cannot_start_says_why_in_every_sdk(sdk: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(COMMANDS[sdk](tmp_path), "image", tmp_path, state_dir=tmp_path / "file/state")
    assert done.returncode != 0
    assert "task-manager-engine: state folder: " in done.stderr


def run(
    command: Sequence[Path | str], image: str, folder: Path, *, state_dir: Path
) -> subprocess.CompletedProcess[str]:
    """Runs a program of an SDK, which has nothing in its environment but how to start a session."""
    project, exports = folder / "project", folder / "exports"
    for path, text in PROJECT.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    exports.mkdir()
    return subprocess.run(
        [*command, image, project, exports],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env={
            "PATH": oci.SYSTEM_PATH,
            "_EXPERIMENTAL_DAGGER_CLI_BIN": str(Path(sysconfig.get_path("scripts")) / "task-manager-engine"),
            "TASK_MANAGER_ENGINE_STATE_DIR": str(state_dir),
        },
    )


def tree(folder: Path) -> dict[str, object]:
    """Returns what each path of a folder is: a link's target, or its mode with a file's text."""
    return {str(path.relative_to(folder)): _described(path) for path in sorted(folder.rglob("*"))}


def _described(path: Path) -> object:
    if path.is_symlink():
        return str(path.readlink())
    mode = f"{path.stat().st_mode & 0o7777:o}"
    return mode if path.is_dir() else (mode, path.read_text())


PROJECT: Final = {"hello.txt": "hello\n", "notes.md": "", "src/main.txt": "main\n", "build/junk.txt": ""}
EXPORTED: Final = {
    "directory": "755",
    "directory/link": "sub/one",
    "directory/sub": "750",
    "directory/sub/one": ("644", "one\n"),
    "one": ("644", "one\n"),
}
GREETING: Final = 'say "hi" to $NOBODY'
EXPECTED: Final = {
    "files": {
        "entries": ["added/", "hello.txt", "src/"],
        "glob": ['added/quoted "ü".txt', "hello.txt", "src/main.txt"],
        "host_file": "hello\n",
        "joined": 'main\nbrackets {"key": 1}\nline\ttwo\\',
        "size": 34,
        "name": "joined",
        "modes": '640 added/quoted "ü".txt\n',
        "changed": ["joined", "modes"],
    },
    "environment": {
        "greeting": GREETING,
        "unknown": None,
        "variables": [["PATH", oci.SYSTEM_PATH], ["GREETING", GREETING], ["EXPANDED", f"{oci.SYSTEM_PATH}:/more"]],
        "labels": [["kind", "test"]],
        "ports": [[8080, "TCP", "web"]],
        "seen": f"{GREETING}\n{oci.SYSTEM_PATH}:/more\n***\n11\n",
    },
    "failure": {
        "command": {
            "message": "exit code: 3",
            "cmd": ["sh", "-c", "echo out; echo err >&2; exit 3"],
            "exit_code": 3,
            "stdout": "out",
            "stderr": "err",
        },
        "executable": {
            "message": "exit code: 1",
            "cmd": ["no-such-command"],
            "exit_code": 1,
            "stdout": "",
            "stderr": 'exec: "no-such-command": executable file not found in $PATH',
        },
        "file": {"message": "stat missing: no such file or directory"},
        "unsupported": {
            "message": "Query.git is not supported by the embedded engine: use a Dagger engine for it (install Docker "
            "and the dagger CLI, or set _EXPERIMENTAL_DAGGER_RUNNER_HOST)"
        },
        "expected": [3, "out\n", "err\n"],
    },
    "exported": {"workdir": ["exported.txt"]},
    "service": {"page": "served"},
    "objects": {
        "version": "v0.21.8",
        "platform": f"linux/{oci.architecture()}",
        "loaded": "kept",
        "together": [f"{2 * number}\n" for number in range(1, 9)],
    },
}
