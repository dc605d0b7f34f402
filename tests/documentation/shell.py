"""A shell in which a page's commands are run one after the other, as a reader types them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROMPT: Final = "$ "
CONTINUED: Final = "> "
_SECONDS: Final = 240.0
_CODES: Final = 9
"""Where bash writes exit codes."""


@dataclass(frozen=True)
class Command:
    """A command of a session, and what the page shows of its output."""

    text: str
    shown: str


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed, errors included."""

    code: int
    printed: str


def commands_of(session: str) -> list[Command]:
    """The commands of a block: `$ ` begins one, `> ` continues it, and all else is output."""
    found: list[tuple[list[str], list[str]]] = []
    for line in session.splitlines():
        if line.startswith(PROMPT):
            found.append(([line.removeprefix(PROMPT)], []))
        elif line.startswith(CONTINUED) and found and not found[-1][1]:
            found[-1][0].append(line.removeprefix(CONTINUED))
        elif found:
            found[-1][1].append(line)
    return [Command("\n".join(lines), "\n".join(shown).strip("\n")) for lines, shown in found]


def session_of(commands: Iterable[Command]) -> str:
    """The block that shows some commands with their output."""
    lines = [
        line for one in commands for line in (PROMPT + one.text.replace("\n", f"\n{CONTINUED}"), one.shown) if line
    ]
    return "".join(f"{line}\n" for line in lines)


class Shell:
    """A bash that runs what it is given, and keeps its folder and variables from command to command."""

    def __init__(self, process: subprocess.Popen[bytes], codes: int, files: Path) -> None:
        self._process = process
        self._codes = codes
        self._files = files

    def run(self, command: str) -> Done:
        """Run a command and wait for its end.

        Raises:
            TimeoutError: It does not end.
        """
        script, output = self._files / "command", self._files / "output"
        script.write_text(command + "\n")
        line = f'eval "$(cat {script})" >{output} 2>&1 </dev/null; echo $? >&{_CODES}\n'
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        code = self._code(command, output)
        return Done(code, output.read_text(errors="replace"))

    def _code(self, command: str, output: Path) -> int:
        deadline = time.monotonic() + _SECONDS
        while not select.select([self._codes], [], [], 1.0)[0]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{command}\n{output.read_text(errors='replace')}")
        answer = os.read(self._codes, 16)
        if not answer:
            raise AssertionError(f"the shell ended: {command}\n{output.read_text(errors='replace')}")
        return int(answer)


@contextmanager
def open_shell(folder: Path, environment: Mapping[str, str]) -> Iterator[Shell]:
    """Open a shell in a folder; whatever it started in the background ends with it."""
    codes, codes_of_bash = os.pipe()
    with tempfile.TemporaryDirectory() as files:
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", f"exec {_CODES}>&{codes_of_bash} {codes_of_bash}>&-; exec bash"],
            stdin=subprocess.PIPE,
            cwd=folder,
            env=dict(environment),
            pass_fds=[codes_of_bash],
            start_new_session=True,
        )
        os.close(codes_of_bash)
        try:
            yield Shell(process, codes, Path(files))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            os.close(codes)
