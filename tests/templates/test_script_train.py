"""ml-training: a real model that learns, the same for the same seed, and clear words where it cannot learn."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from task_manager.workflow_templates import BUILT_IN_TEMPLATES
from tests.templates.scripts import as_json, fixture, last_line, run_script

SCRIPT = "ml-training/scripts/train.py"
OPTIONS = ("--data=flowers.csv", "--target=kind", "--epochs=6", "--batch-size=8", "--learning-rate=0.05", "--seed=3")

Train = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with flowers.csv."""
    return fixture("ml-training/tests/flowers", tmp_path_factory.mktemp("flowers"))


@pytest.fixture(scope="module")
def trained(source: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """How a training ended, and where its outputs are."""
    output = source.parent / "output"
    return run_script(SCRIPT, *OPTIONS, f"--output={output}", cwd=source), output


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Train:
    """Runs the script in this process, where the libraries are loaded only once; returns exit code and errors."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.chdir(tmp_path)
        script = str(BUILT_IN_TEMPLATES / SCRIPT)
        monkeypatch.setattr(sys, "argv", [script, f"--output={tmp_path / 'output'}", *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(script, run_name="__main__")
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().err

    return run


def read_history(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "history.jsonl").read_text().splitlines()]


def test_the_last_line_is_the_headline(trained: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done, _ = trained
    assert done.returncode == 0, done.stderr
    assert last_line(done.stdout).startswith("accuracy ")
    assert last_line(done.stdout).endswith("after 6 epochs")


def test_every_epoch_is_measured_and_the_model_learns(trained: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    history = read_history(trained[1])
    assert [line["epoch"] for line in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert set(history[0]) == {"epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"}


def test_the_final_metrics_are_those_of_the_last_epoch(trained: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    metrics = json.loads((trained[1] / "metrics.json").read_text())
    assert metrics["accuracy"] == read_history(trained[1])[-1]["validation_accuracy"] >= 0.9
    assert (metrics["epochs"], metrics["batch_size"], metrics["seed"]) == (6, 8, 3)
    assert (metrics["features"], metrics["classes"]) == (["height", "petals", "width"], ["daisy", "lily", "rose"])
    assert metrics["train_rows"] + metrics["validation_rows"] + metrics["rows_left_out"] == 120
    assert metrics["rows_left_out"] == 2


def test_the_model_can_be_loaded_and_tells_kinds(trained: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    code = "import joblib, sys; print(*joblib.load(sys.argv[1]).predict([[4, 20, 1.2], [9, 6, 2.5], [7, 35, 0.8]]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(trained[1] / "model.joblib")], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["daisy", "lily", "rose"]


def test_the_learning_curve_is_a_picture(trained: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    picture = (trained[1] / "learning-curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(picture) > 5_000


def test_the_same_seed_gives_the_same_files_and_another_one_does_not(
    trained: tuple[subprocess.CompletedProcess[str], Path], source: Path, tmp_path: Path
) -> None:
    again = run_script(SCRIPT, *OPTIONS, f"--output={tmp_path}", cwd=source, environment={"PYTHONHASHSEED": "7"})
    assert again.returncode == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["history.jsonl", "learning-curve.png", "metrics.json", "model.joblib"]
    assert [name for name in names if (tmp_path / name).read_bytes() != (trained[1] / name).read_bytes()] == []
    run_script(SCRIPT, *OPTIONS[:-1], "--seed=4", f"--output={tmp_path}", cwd=source)
    assert read_history(tmp_path) != read_history(trained[1])


GOOD = "x,y,label\n" + "".join(f"{n},{n % 7},{'odd' if n % 2 else 'even'}\n" for n in range(40))


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, (), "There is no file rows.csv in the source folder."),
        ("", (), "rows.csv is empty; it needs a header line."),
        (GOOD, ("--target=lable",), "rows.csv has no column 'lable'; did you mean 'label'?"),
        (GOOD, ("--target=zzz",), "rows.csv has no column 'zzz'; there are x, y, label."),
        (GOOD, (as_json("features", ["x", "z"]),), "rows.csv has no column 'z'; there are x, y, label."),
        (GOOD, (as_json("features", ["label"]),), "The column 'label' is the target; it cannot be a feature, too."),
        ("label\n" + "a\n" * 12, (), "rows.csv has no column besides 'label' to learn from."),
        (
            GOOD.replace("8,1,even", "8,high,even"),
            (),
            "Line 10 has 'high' in the column 'y', which is not a number. Name the columns to learn from in "
            "`features`, or clean the data.",
        ),
        (GOOD.replace("8,1,even", "8,inf,even"), (), "Line 10 has 'inf' in the column 'y', which is not a number."),
        ("x,label\n" + "1,a\n" * 9, (), "rows.csv has 9 complete rows; at least 10 are needed."),
        ("x,label\n" + "1,a\n,b\n" * 9, (), "rows.csv has 9 complete rows; at least 10 are needed."),
        ("x,label\n" + "1,a\n" * 12, (), "The column 'label' has one value; a classifier needs 2 to 100."),
        (
            "x,label\n" + "".join(f"{n},{n}\n" for n in range(120)),
            (),
            "The column 'label' has 120 values in 120 rows; a classifier needs 2 to 100.",
        ),
        ("x,label\n" + "1,a\n" * 12 + "1,b\n", (), "Each value of 'label' must occur twice; once occur: b."),
        (GOOD, ("--test-share=0.01",), "A test share of 0.01 splits 40 rows into 39 and 1;"),
        (GOOD.replace("x,y", "x,x"), (as_json("features", ["x"]),), "rows.csv has the column 'x' more than once."),
        (GOOD, ("--learning-rate=1e308",), "The training diverged with a learning rate of 1e+308; use a smaller one."),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused_in_one_sentence(
    tmp_path: Path, train: Train, content: str | None, arguments: tuple[str, ...], message: str
) -> None:
    if content is not None:
        (tmp_path / "rows.csv").write_text(content)
    code, errors = train("--data=rows.csv", "--target=label", *arguments)
    assert code == 1
    assert errors.startswith(message)
    assert "Traceback" not in errors
