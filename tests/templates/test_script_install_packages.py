"""The shared first step: it installs what is missing, nothing else, and says what it could not install."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.templates.scripts import OFFLINE, as_json, fixture, run_script

SCRIPT = "shared/install_packages.py"


def install(packages: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    target = f"--target={folder / 'tools'}"
    return run_script(SCRIPT, as_json("packages", packages), target, cwd=folder, environment=OFFLINE | environment)


def installed(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "tools").iterdir())


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of `greeter` 1.2.3."""
    folder = tmp_path_factory.mktemp("wheels")
    source = fixture("build-package/tests/greeter", folder)
    arguments = (f"--source={source}", f"--output={folder}", "--isolation=never")
    done = run_script("build-package/scripts/build_package.py", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "dist"


@pytest.mark.parametrize(
    "packages",
    [
        [],
        ["pytest"],
        ["pytest", "scikit-learn", "RUFF"],
        [f"pytest=={version('pytest')}"],
        ["pytest >= 1, < 1000"],
    ],
)
def test_what_the_image_has_is_not_installed(tmp_path: Path, packages: list[str]) -> None:
    done = install(packages, tmp_path)
    assert (done.returncode, installed(tmp_path)) == (0, []), done.stderr
    assert done.stdout.startswith("Nothing to install")


def test_what_is_missing_is_installed_into_the_folder_and_can_be_imported(tmp_path: Path, wheels: Path) -> None:
    done = install(["pytest", "greeter>=1"], tmp_path, PIP_FIND_LINKS=str(wheels))
    assert (done.returncode, done.stdout) == (0, "Installed greeter>=1\n"), done.stderr
    assert installed(tmp_path) == ["greeter", "greeter-1.2.3.dist-info"]
    code = "import greeter; print(greeter.greet('you'))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env={"PYTHONPATH": str(tmp_path / "tools")},
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "Hello, you!\n"


@pytest.mark.parametrize(
    "packages", [["no-such-package-anywhere"], ["pytest>=9999"], ["pytest[missing-extra] @ file:///nowhere.whl"]]
)
def test_what_cannot_be_installed_is_named_with_what_to_do(tmp_path: Path, packages: list[str]) -> None:
    done = install(["ruff", *packages], tmp_path)
    assert (done.returncode, installed(tmp_path)) == (1, [])
    assert f"Missing Python packages: {packages[0]}." in done.stderr
    assert "parameter `image`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_without_pip_is_told_like_any_other_failure(tmp_path: Path) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('no pip here')")
    done = install(["no-such-package-anywhere"], tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "no pip here" in done.stderr
    assert "Missing Python packages: no-such-package-anywhere." in done.stderr
