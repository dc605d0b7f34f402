"""Starting a worker process on demand, detached from who needs it, and telling why none comes up."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from task_manager.config import Settings
from task_manager.errors import WorkerError
from task_manager.worker_place import is_held, served_by

LOG_FILE: Final = "worker.log"
PROGRAM: tuple[str, ...] = (sys.executable, "-m", "task_manager")
"""How a worker is started; before its arguments."""
MOST_STARTS: Final = 3
"""How many workers in a row may be killed before they take runs; one that ends with an error is enough."""

_START_SECONDS: Final = 30.0
_REMEMBERED_SECONDS: Final = 10.0
_LAST_LINES: Final = 3
_LARGEST_LOG: Final = 4 << 20


@dataclass
class _Starts:
    """What this process did to have a worker in a data folder.

    Attributes:
        process: The last one that was started; one that is not waited for would stay as a zombie.
        at: When, in seconds of the monotonic clock.
        killed: How many in a row ended by a signal before they took runs.
        failed_with: The code of the last one, which is why none comes up; negative: killed by that signal.
        failed_at: Since when.
    """

    process: subprocess.Popen[bytes] | None = None
    at: float = 0.0
    killed: int = 0
    failed_with: int | None = None
    failed_at: float = 0.0


_starts: dict[Path, _Starts] = {}
_lock = threading.Lock()


def ensure_worker(settings: Settings) -> bool:
    """Start a worker, detached from this process, unless one holds the data folder or is about to.

    Returns:
        Whether one was started.

    Raises:
        WorkerError: It cannot be started, or those that this process started ended before they took runs. For some
            seconds everybody who asks is told so; then another one is tried.
    """
    with _lock:
        starts = _starts.setdefault(settings.data_dir, _Starts())
        _note_end(starts, settings.data_dir)
        if is_held(settings.data_dir) or _is_starting(starts):
            return False
        if starts.failed_with is not None and time.monotonic() - starts.failed_at < _REMEMBERED_SECONDS:
            raise _ended(settings.data_dir, starts.failed_with)
        starts.failed_with = None
        starts.process = _start(settings)
        starts.at = time.monotonic()
        return True


def _is_starting(starts: _Starts) -> bool:
    return starts.process is not None and time.monotonic() - starts.at < _START_SECONDS


def _note_end(starts: _Starts, data_dir: Path) -> None:
    """Draw the conclusions from the end of a worker, if it has ended."""
    process = starts.process
    code = process.poll() if process is not None else None
    if process is None or code is None:
        return
    starts.process = None
    took_runs = served_by(data_dir) == process.pid
    starts.killed = starts.killed + 1 if code < 0 and not took_runs else 0
    if code > 0 or starts.killed >= MOST_STARTS:
        starts.killed = 0
        starts.failed_with, starts.failed_at = code, time.monotonic()


def _ended(data_dir: Path, code: int) -> WorkerError:
    file = data_dir / LOG_FILE
    last = file.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:] if file.exists() else []
    how = f"ended with code {code}" if code > 0 else f"was killed by signal {-code}, {MOST_STARTS} times in a row"
    return WorkerError(
        f"No worker takes the run: the last one {how}. {' '.join(last)}".rstrip(),
        remedy=f"The run stays queued. See {file}, mend what is wrong, and start a worker: task-manager worker run.",
        details={"code": code, "log": str(file), "last_lines": list(last)},
    )


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    command = [*PROGRAM, "worker", "run", "--until-idle", "--settings-from-stdin"]
    with _log_file(settings.data_dir).open("ab") as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True, cwd="/"
            )
        except OSError as error:
            raise WorkerError(f"No worker could be started: {error.strerror}.") from error
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(settings.model_dump_json().encode())
    return process


def _log_file(data_dir: Path) -> Path:
    file = data_dir / LOG_FILE
    if file.exists() and file.stat().st_size > _LARGEST_LOG:
        file.replace(file.with_suffix(".log.1"))
    file.touch(mode=0o600)
    return file
