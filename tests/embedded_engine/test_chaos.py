"""A session that is killed at any moment leaves nothing running, nothing half stored and nothing wrong.

CHAOS_ROUNDS says how many rounds (`make chaos`: 100), CHAOS_SEED repeats the choices of an earlier run.
"""

import os
import random
import subprocess
import uuid
from pathlib import Path

import pytest

from task_manager.embedded_engine.sandbox.init import is_abandoned
from tests.embedded_engine.chaos import Chaos, leftovers, mounts_below, namespaces_of, ticks_now

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "4"))
SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
_ROUND_SECONDS = 30


@pytest.mark.timeout(60 + ROUNDS * _ROUND_SECONDS)
async def test_a_killed_session_leaves_nothing_and_the_next_one_is_right(tmp_path: Path, busybox_image: str) -> None:
    (tmp_path / "source").mkdir()
    state = tmp_path / f"state-{uuid.uuid4().hex}"
    chaos = Chaos(state, busybox_image, tmp_path / "source", random.Random(SEED))  # noqa: S311 - to be repeatable
    for number in range(ROUNDS):
        print(f"CHAOS_SEED={SEED}: round {number}")  # noqa: T201 - what repeats a failure
        await chaos.round(number)


def test_a_process_left_over_is_noticed_by_its_words_and_by_its_namespaces() -> None:
    marker = uuid.uuid4().hex
    script = f"echo; read end; : {marker}"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        other, namespaces = uuid.uuid4().hex, namespaces_of(marker)
        assert len(leftovers(marker, set(), 0)) == 1
        assert len(leftovers(other, namespaces, ticks_now())) == 1
        assert leftovers(other, namespaces, 0) == []
        process.communicate(b"\n")
    assert leftovers(marker, set(), 0) == []


def test_a_sandbox_knows_that_its_session_died_before_it_could_be_told() -> None:
    reading, writing = os.pipe()
    assert not is_abandoned(writing)
    os.close(reading)
    assert is_abandoned(writing)
    os.close(writing)


def test_a_mount_left_over_is_noticed() -> None:
    assert mounts_below(Path("/proc")) != []
