"""What `deploy/` offers is understood by those it is for, and says what this version needs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from task_manager.config.loading import environment_name
from task_manager.config.settings import setting_names
from tests.environment import packages

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def resources_of(manifests: list[Path] = MANIFESTS) -> Iterator[dict[str, Any]]:
    for file in manifests:
        yield from yaml.safe_load_all(file.read_text())


def test_the_linter_finds_nothing_in_the_containerfile() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, DEPLOY / "Containerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_containerfile_copies_only_what_its_context_has() -> None:
    """The list of what the context leaves out names, after `*`, what it has nevertheless."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    instructions = [line.split() for line in (DEPLOY / "Containerfile").read_text().splitlines()]
    copied = {
        name.rstrip("/")
        for words in instructions
        if words[:1] == ["COPY"] and not words[1].startswith("--from")
        for name in words[1:-1]
    }
    assert copied == sent
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_has_the_command_line_of_the_sdks_engine() -> None:
    assert f"registry.dagger.io/engine:v{version('dagger-io')} " in (DEPLOY / "Containerfile").read_text()
    assert f"registry.dagger.io/engine:v{version('dagger-io')}\n" in (DEPLOY / "kubernetes/worker.yaml").read_text()


def test_the_compose_file_keeps_to_the_published_schema() -> None:
    vendored = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(compose(), json.loads(vendored.read_text()))


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_the_manifests_keep_to_the_schemas_of_kubernetes(file: Path) -> None:
    for resource in resources_of([file]):
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def test_services_of_the_manifests_select_pods_that_have_their_ports() -> None:
    found = list(resources_of())
    pods = [one["spec"]["template"] for one in found if one["kind"] in ("Deployment", "StatefulSet")]
    for service in (one["spec"] for one in found if one["kind"] == "Service"):
        (pod,) = [pod for pod in pods if service["selector"].items() <= pod["metadata"]["labels"].items()]
        named = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service.get("ports", [])} <= named


def test_every_setting_that_is_given_exists() -> None:
    known = {environment_name(name) for name in setting_names()}
    texts = [file.read_text() for file in DEPLOY.rglob("*") if file.is_file()]
    words = {word.strip('":,{}') for text in texts for word in text.replace("=", " ").split()}
    given = {word for word in words if word.startswith("TASK_MANAGER_")}
    assert given
    assert given <= known


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """Their program is put where they expect it; what the verifier says of the machine's own units is left out."""
    packages.require("systemd")
    units = []
    for file in sorted((DEPLOY / "systemd").glob("*.service")):
        text = file.read_text().replace("/usr/local/bin/task-manager", str(Path(sys.executable)))
        (tmp_path / file.name).write_text(text)
        units.append(tmp_path / file.name)
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "task-manager" in line] == []
    assert len(units) == 2
