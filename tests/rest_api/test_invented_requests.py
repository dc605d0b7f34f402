"""Schemathesis invents requests from the API's document, one by one and in sequences, and checks every answer.

`make fuzz` invents thousands; `CASES=20000` says how many.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from task_manager.testing import FakeEngine
from tests.rest_api.conftest import FakedApplication, settings_of
from tests.rest_api.server import serving

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
WANTED = int(os.environ.get("API_CASES", "0"))
"""How many requests to invent at least; 0: as many as fit into a run of all tests."""


@pytest.mark.timeout(3600 if WANTED else 300)
def test_no_invented_request_is_answered_otherwise_than_documented(data_dir: Path, tmp_path: Path) -> None:
    phases = "examples,coverage,fuzzing,stateful" if WANTED else "fuzzing,stateful"
    examples = max(4, WANTED // 54)
    with serving(lambda: FakedApplication(settings_of(data_dir), FakeEngine()), longest_stream=0.05) as api:
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIGURATION),
                *("run", f"{api.url}/openapi.json", "--phases", phases, "--max-examples", str(examples)),
                "--no-color",
                *([] if WANTED else ["--seed", "1"]),
            ],
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    count = re.search(r"(\d+) generated, \1 passed", ended.stdout)
    assert count is not None, ended.stdout
    assert int(count[1]) >= max(WANTED, 150)
