"""Running the scripts of the built-in templates as a step does, but without a container."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from task_manager.workflow_templates import BUILT_IN_TEMPLATES

OFFLINE = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
"""Variables under which pip reaches no package index."""

WITHOUT_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Variables under which pytest leaves out this suite's plugins, which take ten times as long to load as itself."""

INTERPRETERS = {".py": (sys.executable,), ".mjs": ("node",), ".go": ("go", "run")}
"""What runs scripts of each language; Go and Node.js come with the packages that the tests need."""


def run_script(
    name: str, *arguments: str, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script, such as `code-quality/scripts/run_ruff.py`."""
    command = [*INTERPRETERS[Path(name).suffix], str(BUILT_IN_TEMPLATES / name), *arguments]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
    inherited |= WITHOUT_PLUGINS
    inherited["PATH"] = os.pathsep.join((sysconfig.get_path("scripts"), inherited["PATH"]))
    return subprocess.run(
        command, check=False, cwd=cwd, env={**inherited, **(environment or {})}, capture_output=True, text=True
    )


def fixture(name: str, folder: Path) -> Path:
    """A copy of a template's fixture, such as `code-quality/tests/clean`."""
    return Path(shutil.copytree(BUILT_IN_TEMPLATES / name, folder / "source"))


def as_json(option: str, value: object) -> str:
    """`--OPTION=JSON`."""
    return f"--{option}={json.dumps(value)}"


def last_line(text: str) -> str:
    """The last line that is not empty."""
    return text.strip().splitlines()[-1] if text.strip() else ""
