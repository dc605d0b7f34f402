"""`server.json`: what the MCP registry is told."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from task_manager.config import Settings
from task_manager.mcp_server.registry_entry import REGISTERED_NAME, registry_entry, text

ROOT = Path(__file__).parents[2]
VALID = jsonschema.Draft202012Validator(json.loads((Path(__file__).parent / "server_json.schema.json").read_text()))


def test_the_file_is_what_is_built() -> None:
    assert (ROOT / "server.json").read_text() == text(), (
        "python -m task_manager.mcp_server.registry_entry > server.json"
    )


def test_the_entry_is_what_the_registry_takes() -> None:
    VALID.validate(registry_entry())


@pytest.mark.parametrize("change", [{"version": "latest"}, {"name": "task-manager"}, {"description": "x" * 101}])
def test_what_the_registry_refuses_is_refused_here(change: dict[str, str]) -> None:
    assert not VALID.is_valid({**registry_entry(), **change})


def test_the_readme_says_that_the_package_is_the_servers() -> None:
    assert f"mcp-name: {REGISTERED_NAME} " in (ROOT / "README.md").read_text()


def test_the_package_starts_as_the_entry_says() -> None:
    """The runtime starts the command that is called like the package."""
    (package,) = registry_entry()["packages"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package["identifier"] == project["name"]
    assert project["scripts"][package["identifier"]] == project["scripts"]["task-manager"]
    assert [one["value"] for one in package["packageArguments"]] == ["mcp"]
    named = {one["name"].removeprefix("TASK_MANAGER_").lower() for one in package["environmentVariables"]}
    assert named <= Settings.model_fields.keys()
