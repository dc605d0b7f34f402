"""Settings: which source wins, where each value came from, and what bad values are told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.config import (
    EngineChoice,
    Settings,
    describe_settings,
    environment_name,
    load_settings,
    mask_secrets,
    setting_names,
)
from task_manager.config.reference import reference
from task_manager.errors import InvalidConfiguration


def load(
    folder: Path, arguments: dict[str, object] | None = None, environ: dict[str, str] | None = None
) -> tuple[Settings, dict[str, str]]:
    settings, origins = load_settings(arguments, environ=environ or {}, folder=folder)
    return settings, dict(origins)


def refusal(folder: Path, arguments: dict[str, object] | None = None, **environ: str) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as caught:
        load(folder, arguments, environ)
    return caught.value


def test_without_any_source_everything_is_its_default(tmp_path: Path) -> None:
    settings, origins = load(tmp_path)
    assert settings == Settings()
    assert set(origins) == set(setting_names())
    assert set(origins.values()) == {"default"}


def test_each_source_wins_over_those_below_it(tmp_path: Path) -> None:
    """Arguments, environment, the engine file, task-manager.toml, default: in this order."""
    (tmp_path / "engine.yaml").write_text("parallelism: 3\nrun_parallelism: 3\nimages: host\n")
    (tmp_path / "task-manager.toml").write_text(
        'dagger_config_path = "engine.yaml"\n'
        'parallelism = 4\nrun_parallelism = 4\nimages = "pull"\nlog_level = "error"\n'
        "connect_timeout = 4\n"
    )
    settings, origins = load(
        tmp_path,
        {"parallelism": 1},
        {"TASK_MANAGER_PARALLELISM": "2", "TASK_MANAGER_RUN_PARALLELISM": "2"},
    )
    assert (settings.parallelism, origins["parallelism"]) == (1, "argument")
    assert (settings.run_parallelism, origins["run_parallelism"]) == (2, "environment TASK_MANAGER_RUN_PARALLELISM")
    assert (settings.images, origins["images"]) == ("host", f"file {tmp_path}/engine.yaml:3")
    assert (settings.log_level, origins["log_level"]) == ("error", f"file {tmp_path}/task-manager.toml:5")
    assert origins["engine"] == "default"


def test_the_parts_of_a_group_come_from_different_sources(tmp_path: Path) -> None:
    (tmp_path / "task-manager.toml").write_text('[limits]\noutput_bytes = "1 KiB"\nartifact_bytes = 5\n')
    settings, origins = load(tmp_path, environ={"TASK_MANAGER_LIMITS_ARTIFACT_BYTES": "2MiB"})
    assert (settings.limits.output_bytes, settings.limits.artifact_bytes) == (1024, 2 * 1024**2)
    assert origins["limits.output_bytes"] == f"file {tmp_path}/task-manager.toml:2"
    assert origins["limits.artifact_bytes"] == "environment TASK_MANAGER_LIMITS_ARTIFACT_BYTES"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("engine.yaml", "engine: embedded\nregistries:\n  mirrors: {docker.io: 'http://127.0.0.1:5000'}\n"),
        ("engine.toml", 'engine = "embedded"\n[registries.mirrors]\n"docker.io" = ["http://127.0.0.1:5000"]\n'),
        (
            "engine.json",
            '{\n"engine": "embedded",\n"registries": {"mirrors": {"docker.io": ["http://127.0.0.1:5000"]}}}',
        ),
    ],
)
def test_the_engine_file_may_be_yaml_toml_or_json(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    settings, origins = load(tmp_path, {"dagger_config_path": name})
    assert settings.engine is EngineChoice.EMBEDDED
    assert settings.registries.mirrors == {"docker.io": ("http://127.0.0.1:5000",)}
    assert origins["engine"].startswith(f"file {tmp_path / name}:")


def test_task_manager_toml_is_found_in_the_git_root(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "task-manager.toml").write_text('engine = "dagger"\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert load(inner)[0].engine is EngineChoice.DAGGER


def test_task_manager_toml_above_the_git_root_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "task-manager.toml").write_text('engine = "dagger"\n')
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    assert load(tmp_path / "repository")[0].engine is EngineChoice.AUTO


def test_relative_paths_start_at_the_file_or_at_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "repository" / "task-manager.toml").write_text('data_dir = "data"\n')
    inner = tmp_path / "repository" / "inner"
    inner.mkdir()
    assert load(inner)[0].data_dir == tmp_path / "repository" / "data"
    assert load(inner, environ={"TASK_MANAGER_DATA_DIR": "data"})[0].data_dir == inner / "data"


def test_lists_and_mappings_come_from_the_environment_as_json(tmp_path: Path) -> None:
    settings, _ = load(
        tmp_path,
        environ={
            "TASK_MANAGER_ENVIRONMENT": '{"A": "1", "B": 2}',
            "TASK_MANAGER_REGISTRIES_MIRRORS": '{"docker.io": ["https://a", "https://b"]}',
            "TASK_MANAGER_REGISTRIES_INSECURE": "127.0.0.1:5000, localhost:5001",
        },
    )
    assert settings.environment == {"A": "1", "B": "2"}
    assert settings.registries.mirrors == {"docker.io": ("https://a", "https://b")}
    assert settings.registries.insecure == ("127.0.0.1:5000", "localhost:5001")


def test_an_empty_environment_variable_means_not_set(tmp_path: Path) -> None:
    assert load(tmp_path, environ={"TASK_MANAGER_ENGINE": ""})[1]["engine"] == "default"


def test_the_engines_cache_may_have_limits_or_none(tmp_path: Path) -> None:
    (tmp_path / "engine.yaml").write_text("engine_cache: {max_bytes: 5 GiB, max_age: 4w}\n")
    limited, _ = load(tmp_path, {"dagger_config_path": "engine.yaml"})
    assert (limited.engine_cache.max_bytes, limited.engine_cache.max_age) == (5 * 1024**3, "4w")
    unlimited = {"TASK_MANAGER_ENGINE_CACHE_MAX_BYTES": "none", "TASK_MANAGER_ENGINE_CACHE_MAX_AGE": "none"}
    free, _ = load(tmp_path, {"dagger_config_path": "engine.yaml"}, unlimited)
    assert (free.engine_cache.max_bytes, free.engine_cache.max_age) == (None, None)


BAD_VALUES: list[tuple[str, object, str]] = [
    ("engine", "docker", "one of auto, dagger, embedded"),
    ("images", "", "one of auto, pull, host"),
    ("network", "bridge", "one of auto, host, none"),
    ("parallelism", 0, "a number of at least 1"),
    ("parallelism", "many", "a whole number"),
    ("parallelism", 1.5, "a whole number"),
    ("default_step_timeout", -1, "more than 0"),
    ("default_run_timeout", "nan", "a finite number"),
    ("limits.output_bytes", "big", "byte"),
    ("limits.output_bytes", 0, "more than 0"),
    ("engine_cache.max_bytes", 0, "more than 0"),
    ("engine_cache.max_bytes", "unlimited", "byte"),
    ("engine_cache.max_age", "30", "an age such as 90s, 12h, 30d or 4w, or none"),
    ("engine_cache.max_age", "0d", "an age such as"),
    ("engine_cache.max_age", 30, "an age such as"),
    ("engine_limits.processes", 0, "at least 1"),
    ("engine_limits.processes", "many", "a whole number"),
    ("engine_limits.memory", "15MiB", "at least 16MiB"),
    ("engine_limits.output", 0, "more than 0"),
    ("environment", {"not a name": "x"}, "a text of the form ^"),
    ("environment", {"A": ["x"]}, "text"),
    ("environment", "A=1", "a mapping"),
    ("registries.mirrors", {"docker.io": ["ftp://x"]}, "http://"),
    ("registries.insecure", ["http://x"], "a text of the form ^"),
    ("runner_host", "localhost", "tcp://"),
    ("database_url", "mysql://x/y", "postgresql://"),
    ("templates_dir", "nowhere", "a folder that exists"),
    ("data_dir", 3, "path"),
    ("log_level", "loud", "one of debug, "),
]


@pytest.mark.parametrize(("setting", "value", "expected"), BAD_VALUES)
def test_a_bad_value_is_refused_with_setting_origin_expectation_and_value(
    tmp_path: Path, setting: str, value: Any, expected: str
) -> None:
    error = refusal(tmp_path, {setting: value})
    assert error.details["setting"] == setting
    assert error.details["origin"] == "argument"
    assert f"{setting}" in error.message
    assert "(argument): expected" in error.message
    assert expected in error.message
    assert "; given " in error.message


def test_all_bad_values_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "task-manager.toml").write_text("\nparallelism = 0\n")
    error = refusal(tmp_path, {"images": "none"}, TASK_MANAGER_ENGINE="docker")
    findings = error.details["findings"]
    assert isinstance(findings, list)
    assert {(finding["setting"], finding["origin"]) for finding in findings} == {
        ("images", "argument"),
        ("engine", "environment TASK_MANAGER_ENGINE"),
        ("parallelism", f"file {tmp_path}/task-manager.toml:2"),
    }


@pytest.mark.parametrize(
    ("text", "message", "near"),
    [
        ("egnine: auto\n", "There is no setting 'egnine'", "engine"),
        ("limits: {output_byte: 3}\n", "There is no setting 'limits.output_byte'", "limits.output_bytes"),
    ],
)
def test_an_unknown_key_is_refused_with_a_near_miss(tmp_path: Path, text: str, message: str, near: str) -> None:
    (tmp_path / "engine.yaml").write_text(text)
    error = refusal(tmp_path, {"dagger_config_path": "engine.yaml"})
    assert message in error.message
    assert f"{tmp_path}/engine.yaml:1" in error.message
    assert near in error.remedy


def test_the_engine_file_sets_nothing_but_the_engine(tmp_path: Path) -> None:
    (tmp_path / "engine.yaml").write_text("data_dir: /elsewhere\n")
    error = refusal(tmp_path, {"dagger_config_path": "engine.yaml"})
    assert "data_dir cannot be set in this file" in error.message
    assert "TASK_MANAGER_DATA_DIR" in error.remedy


def test_a_group_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "engine.yaml").write_text("limits: 3\n")
    assert "expected a mapping of output_bytes" in refusal(tmp_path, {"dagger_config_path": "engine.yaml"}).message


def test_a_misspelt_environment_variable_is_refused_with_a_near_miss(tmp_path: Path) -> None:
    error = refusal(tmp_path, TASK_MANAGER_DATADIR="/x")
    assert "TASK_MANAGER_DATA_DIR" in error.remedy


def test_variables_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    environ = {"TASK_MANAGER_DEBUG": "1", "TASK_MANAGER_PLUGIN_SOMETHING": "x"}
    assert load(tmp_path, environ=environ)[0] == Settings()


def test_an_unknown_argument_is_refused_with_a_near_miss(tmp_path: Path) -> None:
    assert "engine" in refusal(tmp_path, {"engin": "auto"}).remedy


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("engine.yaml", "engine: [auto\nimages: host\n", "engine.yaml:2 cannot be parsed"),
        ("engine.yaml", "engine: auto\nengine: dagger\n", "engine.yaml:2 cannot be parsed: the key 'engine'"),
        ("engine.yaml", "- engine\n", "must hold a mapping"),
        ("engine.toml", 'engine = "auto"\nimages = \n', "engine.toml:2 cannot be parsed"),
        ("engine.json", '{\n"engine": }', "engine.json:2 cannot be parsed"),
        ("engine.ini", "engine=auto", "must be .yaml, .yml, .toml or .json"),
        ("engine.yaml", "engine: \x07\n", "cannot be parsed"),
        ("engine.yaml", "[" * 5000, "engine.yaml"),
    ],
)
def test_a_broken_file_is_refused_with_file_and_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    error = refusal(tmp_path, {"dagger_config_path": name})
    assert message in error.message
    assert "dagger_config_path names it (argument)" in error.message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "engine.yaml").write_bytes(b"engine: \xff\xfe")
    assert "not UTF-8" in refusal(tmp_path, {"dagger_config_path": "engine.yaml"}).message


def test_a_missing_engine_file_is_refused_with_who_named_it(tmp_path: Path) -> None:
    error = refusal(tmp_path, TASK_MANAGER_DAGGER_CONFIG_PATH="missing.yaml")
    assert f"There is no file {tmp_path}/missing.yaml" in error.message
    assert "environment TASK_MANAGER_DAGGER_CONFIG_PATH" in error.message


def test_a_broken_task_manager_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "task-manager.toml").write_text("engine = auto\n")
    assert "task-manager.toml:1 cannot be parsed" in refusal(tmp_path).message


SECRET_URL = "postgresql://user:hunter2@127.0.0.1/tasks?sslpassword=hunter2"


def test_passwords_are_masked_where_settings_are_shown(tmp_path: Path) -> None:
    settings, origins = load(
        tmp_path,
        {
            "database_url": SECRET_URL,
            "environment": {"API_TOKEN": "hunter2", "PLAIN": "seen"},
            "registries.mirrors": {"docker.io": ["https://user:hunter2@mirror"]},
        },
    )
    shown = json.dumps(describe_settings(settings, origins))
    assert "hunter2" not in shown
    assert "seen" in shown
    assert settings.database_url == SECRET_URL


@pytest.mark.parametrize(
    "arguments",
    [
        {"database_url": "mysql://user:hunter2@host/x"},
        {"environment": {"API_TOKEN": ["hunter2"]}},
        {"registries.mirrors": {"docker.io": ["ftp://user:hunter2@mirror"]}},
        {"runner_host": "ssh://user:hunter2@host"},
    ],
)
def test_passwords_are_masked_in_complaints(tmp_path: Path, arguments: dict[str, object]) -> None:
    error = refusal(tmp_path, arguments)
    assert "hunter2" not in json.dumps(error.as_dict())
    assert "***" in error.message


@given(st.text(alphabet=st.characters(exclude_categories=["Z", "C"]), min_size=1))
def test_no_password_survives_masking(password: str) -> None:
    """Whatever characters a password has, `@` and `/` included."""
    masked = mask_secrets(f"postgresql://user:{password}@localhost/tasks")
    assert masked == "postgresql://user:***@localhost/tasks"


def test_every_setting_has_its_own_environment_variable() -> None:
    variables = [environment_name(setting) for setting in setting_names()]
    assert len(set(variables)) == len(variables)
    assert all(variable == variable.upper() for variable in variables)


def test_settings_are_described_one_by_one() -> None:
    rows = describe_settings(Settings(), {})
    assert [row["setting"] for row in rows] == list(setting_names())
    assert all(row["description"] for row in rows)


def test_the_committed_page_of_settings_is_what_the_definitions_give() -> None:
    page = Path(__file__).parents[1] / "docs/reference/settings.md"
    command = "python -m task_manager.config.reference > docs/reference/settings.md"
    assert page.read_text(encoding="utf-8") == reference(), f"write it anew: {command}"
    assert command in page.read_text(encoding="utf-8")
