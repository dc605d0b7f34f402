"""build-package: a wheel and its digest, equal for equal sources, and clear words where there is nothing to build."""

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.templates.scripts import OFFLINE, as_json, fixture, last_line, run_script

WHEEL = "greeter-1.2.3-py3-none-any.whl"


def build(
    source: Path, *arguments: str, output: str = "output", **environment: str
) -> subprocess.CompletedProcess[str]:
    options = (f"--source={source}", f"--output={source.parent / output}", *arguments)
    return run_script(
        "build-package/scripts/build_package.py", *options, cwd=source.parent, environment=OFFLINE | environment
    )


@pytest.fixture
def greeter(tmp_path: Path) -> Path:
    """The source of a small package."""
    return fixture("build-package/tests/greeter", tmp_path)


def test_a_wheel_is_built_with_what_the_image_has(greeter: Path) -> None:
    done = build(greeter)
    assert done.returncode == 0, done.stdout
    assert last_line(done.stdout).startswith(f"{WHEEL} (")
    with zipfile.ZipFile(greeter.parent / "output" / "dist" / WHEEL) as wheel:
        assert "greeter/__init__.py" in wheel.namelist()


def test_the_digest_and_the_size_are_those_of_the_file(greeter: Path) -> None:
    build(greeter, as_json("formats", ["wheel", "sdist"]))
    (sdist, wheel) = json.loads((greeter.parent / "output" / "digests.json").read_text())["files"][::-1]
    content = (greeter.parent / "output" / "dist" / WHEEL).read_bytes()
    assert wheel == {"file": WHEEL, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert sdist["file"] == "greeter-1.2.3.tar.gz"


def test_equal_sources_give_equal_wheels(greeter: Path) -> None:
    for name in ("one", "two"):
        build(greeter, output=name, SOURCE_DATE_EPOCH="315532800")
    one, two = ((greeter.parent / name / "dist" / WHEEL).read_bytes() for name in ("one", "two"))
    assert one == two


def test_the_source_is_left_as_it_is(greeter: Path) -> None:
    before = sorted(greeter.rglob("*"))
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert build(greeter).returncode == 0
    assert sorted(greeter.rglob("*")) == before


def test_a_backend_that_the_image_does_not_have_is_fetched_or_its_absence_told(greeter: Path) -> None:
    text = (
        (greeter / "pyproject.toml").read_text().replace('["hatchling"]', '["hatchling", "no-such-backend-anywhere"]')
    )
    (greeter / "pyproject.toml").write_text(text)
    fetched = build(greeter)
    assert fetched.returncode != 0
    assert "The image does not have no-such-backend-anywhere; the build fetches what it needs." in fetched.stdout
    never = build(greeter, "--isolation=never")
    assert never.returncode != 0
    assert "no-such-backend-anywhere" in never.stdout
    assert "fetches" not in never.stdout


@pytest.mark.parametrize("content", ["[build-system\n", '[build-system]\nrequires = "hatchling"\n'])
def test_a_broken_project_file_is_told(greeter: Path, content: str) -> None:
    (greeter / "pyproject.toml").write_text(content)
    done = build(greeter)
    assert done.returncode != 0
    assert "pyproject.toml" in done.stdout
    assert last_line(done.stderr).startswith("The build ended with ")


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    done = build(tmp_path / "source")
    assert (done.returncode, done.stderr) == (2, "There is no pyproject.toml or setup.py in the project's folder.\n")


def test_a_failing_build_tells_the_backends_words(greeter: Path) -> None:
    text = (greeter / "pyproject.toml").read_text().replace("1.2.3", "first")
    (greeter / "pyproject.toml").write_text(text)
    done = build(greeter)
    assert done.returncode != 0
    assert "first" in done.stdout
    assert not (greeter.parent / "output" / "digests.json").exists()
