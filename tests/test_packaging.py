"""The wheel and the sdist have everything in them, and what is installed from them works, without any network."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.test_repository_hygiene import tracked_files

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
LOCK = ROOT / "requirements" / "server.txt"


def run(*command: str | Path, **environment: str | Path) -> str:
    """Run a program that succeeds, and return its standard output."""
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def tool(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of the wheel, installed by uv in an environment of its own, without network."""
    folder = tmp_path_factory.mktemp("tool")
    command: list[str | Path] = [BIN / "uv", "tool", "install", "--offline", "--constraints", LOCK, built[1]]
    places: dict[str, str | Path] = {
        "UV_TOOL_DIR": folder / "tools",
        "UV_TOOL_BIN_DIR": folder / "bin",
        "UV_PYTHON": sys.executable,
    }
    try:
        run(*command, **places)
    except AssertionError:
        # Somebody emptied uv's cache since the packages were installed: uv fills it, as `make setup` does.
        run(BIN / "uv", "pip", "install", "--target", folder / "filled", "--require-hashes", "-r", LOCK)
        run(*command, **places)
    return folder / "bin"


def package_files() -> set[str]:
    """What belongs into the wheel, under the names that it has there."""
    names = {path.relative_to(ROOT).as_posix() for path in tracked_files()}
    sources = {name.removeprefix("src/") for name in names if name.startswith("src/")}
    examples = {f"task_manager/{name}" for name in names if name.startswith("examples/textkit/")}
    return sources | examples


def test_the_wheel_holds_every_file_of_the_package(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
        metadata = f"task_manager_dagger-{version('task-manager-dagger')}.dist-info"
        assert package_files() <= names
        assert not [name for name in names if "__pycache__" in name]
        assert {f"{metadata}/licenses/LICENSE", f"{metadata}/entry_points.txt"} <= names
        assert "License-Expression: Apache-2.0" in wheel.read(f"{metadata}/METADATA").decode()
    for needed in ("py.typed", "failure_rules.yaml", "conversion/rules.yaml", "templates/python-tests/template.yaml"):
        assert f"task_manager/{needed}" in names


def test_the_sdist_holds_what_wheel_and_image_are_built_from(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    folders = ("src/", "deploy/", "requirements/", "examples/textkit/")
    tracked = {path.relative_to(ROOT).as_posix() for path in tracked_files()}
    assert {name for name in tracked if name.startswith(folders)} <= names
    assert {"LICENSE", "README.md", "pyproject.toml"} <= names


def test_installed_in_an_empty_environment_it_runs_a_task_on_the_embedded_engine(tool: Path, tmp_path: Path) -> None:
    settings: dict[str, str | Path] = {
        "HOME": tmp_path,
        # Compiled once, for all of the calls.
        "PYTHONDONTWRITEBYTECODE": "",
        "PATH": f"{tool}:/usr/sbin:/usr/bin:/sbin:/bin",
        "TASK_MANAGER_DATA_DIR": tmp_path / "data",
        "TASK_MANAGER_ENGINE": "embedded",
        "TASK_MANAGER_IMAGES": "host",
        "TASK_MANAGER_WORKER": "here",
    }
    assert run("task-manager", "--version", **settings) == f"task-manager {version('task-manager-dagger')}\n"
    task = {"key": "greet", "title": "Greet", "template": "shell-command", "inputs": {"script": "echo hello"}}
    file = tmp_path / "task-manager.yaml"
    file.write_text(json.dumps({"name": "sample", "tasks": [task]}))
    (done,) = json.loads(run("task-manager", "ci", "run", file, "--json", **settings))["runs"]
    assert done["run"]["status"] == "succeeded"
    logs = list((tmp_path / "data" / "runs" / done["run"]["id"]).rglob("stdout.log"))
    assert [log.read_text() for log in logs] == ["hello\n"]


def test_the_shell_completes_commands_and_options() -> None:
    """As bash does it: by the function of the printed script."""
    script = """
        eval "$(task-manager --show-completion bash)"
        complete_line() {
            COMP_WORDS=("$@") COMP_CWORD=$(( $# - 1 ))
            _task_manager_completion task-manager
            printf '%s\\n' "${COMPREPLY[@]}"
        }
        complete_line task-manager proj
        complete_line task-manager run start --skip
    """
    assert run("bash", "-c", script, PATH=f"{BIN}:{os.environ['PATH']}").split() == ["project", "--skip-cache"]
