"""The documentation's commands and code do what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall((ROOT / document).read_text()) if kind == language]


def execute(command: list[str], data: Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    own = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{own}:{os.environ['PATH']}",
        "TASK_MANAGER_DATA_DIR": str(data),
        "TASK_MANAGER_IMAGES": "host",
        "TASK_MANAGER_ENGINE": "embedded",
        "TASK_MANAGER_IDLE_SECONDS": "1",
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_readmes_commands_succeed_in_their_order(tmp_path: Path) -> None:
    (session,) = blocks("README.md", "console")
    commands = [line.removeprefix("$ ") for line in session.splitlines()]
    for command in commands:
        if not command.startswith("source "):
            done = execute(shlex.split(command), tmp_path)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert "33 passed" in done.stdout


def test_the_readmes_program_prints_what_became_of_the_run(tmp_path: Path) -> None:
    (program,) = blocks("README.md", "python")
    done = execute([sys.executable, "-c", program], tmp_path / "data", tmp_path)
    assert (done.stdout, done.returncode) == ("succeeded\n", 0), done.stderr


def test_the_readmes_program_is_as_short_as_it_promises() -> None:
    (program,) = blocks("README.md", "python")
    body = program.partition("async def main() -> None:\n")[2].partition("\n\n\n")[0]
    assert len(body.splitlines()) <= 10
