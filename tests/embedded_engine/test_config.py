"""The engine's settings: arguments over environment over file over defaults; nothing unknown."""

import json
from pathlib import Path

import pytest

from task_manager.embedded_engine.config import load_config
from task_manager.embedded_engine.errors import ConfigurationError
from tests.embedded_engine.engine import run_command

SETTINGS = {
    "mirrors": {"docker.io": ["http://127.0.0.1:5000"]},
    "insecure": ["registry.local:5000"],
    "parallelism": 3,
    "connect_timeout": 1.5,
    "pull_timeout": 20,
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.json", json.dumps(SETTINGS)),
        (
            "c.toml",
            'insecure = ["registry.local:5000"]\nparallelism = 3\nconnect_timeout = 1.5\npull_timeout = 20\n'
            '[mirrors]\n"docker.io" = ["http://127.0.0.1:5000"]\n',
        ),
        (
            "c.yaml",
            "mirrors: {docker.io: ['http://127.0.0.1:5000']}\ninsecure: ['registry.local:5000']\nparallelism: 3\n"
            "connect_timeout: 1.5\npull_timeout: 20\n",
        ),
    ],
)
def test_json_toml_and_yaml_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    config = load_config(str(tmp_path / name), "/state", {})
    assert config.mirrors == {"docker.io": ("http://127.0.0.1:5000",)}
    assert config.insecure == {"registry.local:5000"}
    assert (config.parallelism, config.connect_timeout, config.pull_timeout) == (3, 1.5, 20.0)


def test_the_argument_counts_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"state_dir": "/from/file"}')
    environment = {"TASK_MANAGER_ENGINE_CONFIG": str(path)}
    assert load_config(None, None, environment).state_dir == Path("/from/file")
    environment["TASK_MANAGER_ENGINE_STATE_DIR"] = "/from/environment"
    assert load_config(None, None, environment).state_dir == Path("/from/environment")
    assert load_config(None, "/from/argument", environment).state_dir == Path("/from/argument")


def test_an_unknown_key_is_refused_with_a_near_miss(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"paralelism": 2}')
    with pytest.raises(ConfigurationError, match="unknown key paralelism; did you mean parallelism"):
        load_config(str(tmp_path / "c.json"), None, {})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parallelism", 0),
        ("parallelism", True),
        ("connect_timeout", "5"),
        ("insecure", "host"),
        ("mirrors", {"a": ["b"]}),
        ("mirrors", 1),
    ],
)
def test_a_value_that_cannot_be_used_is_named(tmp_path: Path, key: str, value: object) -> None:
    (tmp_path / "c.json").write_text(json.dumps({key: value}))
    with pytest.raises(ConfigurationError, match=f"{key} must be"):
        load_config(str(tmp_path / "c.json"), None, {})


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_broken_file_is_one_clear_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    done = run_command("session", "--config", str(tmp_path / "c.json"))
    assert done.returncode == 2
    assert str(tmp_path / "c.json") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_one_clear_message(tmp_path: Path) -> None:
    done = run_command("doctor", "--config", str(tmp_path / "absent.toml"))
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
