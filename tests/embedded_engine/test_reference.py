"""A real Dagger engine's answers to ordinary SDK programs are this engine's answers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedded_engine.engine import EngineProcess

FOLDER = Path(__file__).parent / "reference"
REFERENCE = json.loads((FOLDER / "reference.json").read_text())


@pytest.fixture(scope="module")
def answers(engine: EngineProcess, busybox_image: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the cases answer on this engine."""
    recorded = tmp_path_factory.mktemp("reference") / "answers.json"
    subprocess.run(
        [sys.executable, str(FOLDER / "cases.py"), "--image", busybox_image, "--record", str(recorded)],
        check=True,
        capture_output=True,
        timeout=240,
        env=engine.sdk_environment(),
    )
    content: dict[str, object] = json.loads(recorded.read_text())
    return content


@pytest.mark.parametrize("case", sorted(REFERENCE))
def test_a_case_answers_as_recorded_on_a_real_engine(case: str, answers: dict[str, object]) -> None:
    assert answers[case] == REFERENCE[case]
