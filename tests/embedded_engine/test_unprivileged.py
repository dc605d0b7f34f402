"""As root, the engine's tests run once more as an ordinary user, with and without subordinate ids."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded_engine.unprivileged import closed_ancestor, run_unprivileged
from tests.environment.packages import require

LIMIT_SECONDS = 900


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an ordinary user can enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="engine-unprivileged-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def pytest_command(*arguments: str) -> list[str]:
    """Returns the command that runs the engine's other tests."""
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]


@pytest.mark.timeout(LIMIT_SECONDS)
def test_every_engine_test_holds_for_an_ordinary_user_with_subordinate_ids(folder: Path) -> None:
    require("uidmap")
    # The SDKs' programs cannot tell who runs the engine, and their packages would be fetched once more.
    command = pytest_command("tests/embedded_engine", "--ignore", "tests/embedded_engine/test_other_sdks.py")
    rounds = {"CHAOS_ROUNDS": "1"}
    done = run_unprivileged(folder, command, ids="subordinate", timeout=LIMIT_SECONDS, environment=rounds)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.timeout(LIMIT_SECONDS)
def test_the_reference_holds_for_an_ordinary_user_with_a_single_id(folder: Path) -> None:
    chosen = [f"tests/embedded_engine/{name}.py" for name in ("test_reference", "test_sandbox", "test_cancelling")]
    done = run_unprivileged(folder, pytest_command(*chosen), ids="single", timeout=LIMIT_SECONDS)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_the_user_of_these_runs_is_really_without_privilege(folder: Path) -> None:
    done = run_unprivileged(folder, ["cat", "/proc/self/status"], ids="single", timeout=60)
    facts = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert (facts["Uid"].split(), int(facts["CapEff"], 16), int(facts["CapPrm"], 16)) == (["65534"] * 4, 0, 0)


def test_a_closed_folder_above_is_found(tmp_path: Path) -> None:
    (tmp_path / "closed/inner").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    found = closed_ancestor(tmp_path / "closed/inner")
    assert found is not None
    shutil.rmtree(tmp_path / "closed")
