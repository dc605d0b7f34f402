"""Sessions of a real Dagger engine, for the tests that run on it as well where one answers.

It is the session that DAGGER_SESSION_PORT and DAGGER_SESSION_TOKEN name, so `dagger run pytest …` is enough; or one
that the dagger command opens on the engine whose address one of `RUNNER_HOSTS` is. `IMAGE_VARIABLE` names the image.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
from dagger.client._session import ConnectParams

from tests.embedded_engine.engine import SessionProcess

RUNNER_HOSTS: Final = ("TASK_MANAGER_TEST_RUNNER_HOST", "_EXPERIMENTAL_DAGGER_RUNNER_HOST")
IMAGE_VARIABLE: Final = "TASK_MANAGER_TEST_BUSYBOX_IMAGE"
DEFAULT_IMAGE: Final = "docker.io/library/busybox:1.37.0"
_ANSWER_SECONDS: Final = 60


class NoRealEngineError(Exception):
    """No real engine is named, or the one that is named does not answer."""


def real_image() -> str:
    """Returns the reference of a busybox image in a registry that a real engine can reach."""
    return os.environ.get(IMAGE_VARIABLE) or DEFAULT_IMAGE


@contextmanager
def real_session(folder: Path) -> Iterator[ConnectParams]:
    """Gives a session of a real engine until the block ends.

    Args:
        folder: Where a session that is opened here writes its log.

    Raises:
        NoRealEngineError: There is none.
    """
    port, token = (os.environ.get(f"DAGGER_SESSION_{part}") for part in ("PORT", "TOKEN"))
    if port and token:
        yield _answering(ConnectParams(port=int(port), session_token=token))
        return
    with _opened(folder / "dagger.log") as process:
        yield _answering(ConnectParams(port=process.port, session_token=process.token))


def _opened(log: Path) -> SessionProcess:
    host = next((value for name in RUNNER_HOSTS if (value := os.environ.get(name))), None)
    if host is None:
        raise NoRealEngineError(
            f"no real Dagger engine is named: run this by `dagger run`, or set {RUNNER_HOSTS[0]} to an engine's address"
        )
    program = os.environ.get("_EXPERIMENTAL_DAGGER_CLI_BIN") or shutil.which("dagger")
    if program is None:
        raise NoRealEngineError(f"the engine at {host} is reached by the dagger command, which is not on the PATH")
    try:
        return SessionProcess([program, "session"], log, environment={RUNNER_HOSTS[1]: host})
    except (OSError, AssertionError) as error:
        raise NoRealEngineError(f"{program} opens no session on the engine at {host}: {error}") from error


def _answering(session: ConnectParams) -> ConnectParams:
    answer = None
    with suppress(httpx.HTTPError):
        answer = httpx.post(
            f"http://127.0.0.1:{session.port}/query",
            json={"query": "{version}"},
            auth=(session.session_token, ""),
            timeout=_ANSWER_SECONDS,
            trust_env=False,
        )
    if answer is None or answer.is_error:
        raise NoRealEngineError(f"no session of a Dagger engine answers on port {session.port}")
    return session
