"""`task-manager ci export`: what services make of the pipelines, and what their commands do."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from junitparser import JUnitXml

from tests.cli.conftest import Cli
from tests.environment.warm_program import warm_program

SERVICES = ("github-actions", "gitlab-ci")
SCHEMAS = {"github-actions": "github-workflows.json", "gitlab-ci": "gitlab-ci.json"}
KEYS = ("9.first", "9-first", "image", "last")


def write_project(folder: Path) -> None:
    """Four tasks whose keys and titles are awkward; the last one needs two others, one of these the first."""
    needs = {"9.first": [], "9-first": ["9.first"], "image": [], "last": ["9-first", "image"]}
    tasks = [
        {
            "key": key,
            "title": f"Task {key} ${{{{ github.token }}}}",
            "template": "shell-command",
            "inputs": {"script": f"echo {key}", "image": "busybox"},
            "depends_on": needs[key],
        }
        for key in KEYS
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task-manager.yaml").write_text(json.dumps({"name": "sample", "source_folder": ".", "tasks": tasks}))


def exported(cli: Cli, service: str, *options: str) -> Any:
    return yaml.safe_load(cli("ci", "export", service, *options).stdout)


@pytest.mark.parametrize("engine", ["dagger", "embedded"])
@pytest.mark.parametrize("service", SERVICES)
def test_pipelines_keep_to_the_published_schemas(cli: Cli, service: str, engine: str) -> None:
    write_project(Path())
    schema = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / SCHEMAS[service]
    jsonschema.validate(exported(cli, service, "--engine", engine), json.loads(schema.read_text()))


def test_jobs_need_each_other_as_tasks_do(cli: Cli) -> None:
    write_project(Path())
    jobs = exported(cli, "github-actions")["jobs"]
    assert {name: job.get("needs", []) for name, job in jobs.items()} == {
        "_9-first": [],
        "_9-first-2": ["_9-first"],
        "image": [],
        "last": ["_9-first-2", "image"],
    }
    assert jobs["last"]["name"] == "Task last ${{ '${{' }} github.token }}", "no expression of the service"
    pipeline = exported(cli, "gitlab-ci")
    assert pipeline["last"]["needs"] == ["9-first", "task-image"], "`image` would be no job"


@dataclass(frozen=True)
class Job:
    """A job on a machine of its own, as the service would run it."""

    folder: Path
    variables: dict[str, str]
    script: str


def github_job(job: Any, machine: Path, passed_on: Path) -> Job:
    """The commands of the task's step, after the downloads and before the uploads of the others."""
    variables = {"RUNNER_TEMP": str(machine / "temp"), "GITHUB_WORKSPACE": str(machine / "work")}
    (machine / "temp").mkdir()
    lines = []
    for step in job["steps"]:
        kind = step.get("uses", "").partition("@")[0]
        if kind.startswith("actions/download"):
            lines.append(
                f"mkdir -p {place(step, machine)} && cp -r {passed_on}/{step['with']['name']}/. {place(step, machine)}"
            )
        elif kind.startswith("actions/upload"):
            lines.append(f"cp -r {place(step, machine)} {passed_on}/{step['with']['name']}")
        elif step.get("name") == "Run the task":
            lines.append(step["run"])
    return Job(machine / "work", variables, "\n".join(lines))


def place(step: Any, machine: Path) -> str:
    return str(step["with"]["path"].replace("${{ runner.temp }}", str(machine / "temp")))


def gitlab_job(job: Any, machine: Path, passed_on: Path) -> Job:
    """All but the first command, which installs: artifacts of the needed jobs lie in the working folder."""
    (folder,) = job["artifacts"]["paths"]
    take = [f"cp -r {passed_on}/{name}/. ." for name in job["needs"]]
    script = [*take, *job["before_script"][1:], *job["script"], *job["after_script"]]
    leave = f"mkdir -p {passed_on}/$CI_JOB_NAME && cp -r {folder} {passed_on}/$CI_JOB_NAME/"
    return Job(machine / "work", {"CI_PROJECT_DIR": str(machine / "work")}, "\n".join([*script, leave]))


@pytest.mark.parametrize(("service", "make"), [("github-actions", github_job), ("gitlab-ci", gitlab_job)])
def test_the_jobs_commands_run_each_task_once(
    cli: Cli, service: str, make: Callable[[Any, Path, Path], Job], tmp_path: Path, engine_data: Path
) -> None:
    """Each job on a machine of its own; what the needed jobs passed on answers all but the job's own task."""
    write_project(Path())
    pipeline = exported(cli, service, "--engine", "embedded")
    jobs = pipeline.get("jobs") or {name: job for name, job in pipeline.items() if name != "default"}
    names = dict(zip(KEYS, jobs, strict=True))
    (tmp_path / "passed-on").mkdir()
    for key in ("9.first", "9-first"):
        machine = tmp_path / key
        write_project(machine / "work")
        (machine / "data").mkdir()
        (machine / "data" / "engine").symlink_to(engine_data)
        job = make(jobs[names[key]], machine, tmp_path / "passed-on")
        done = run(job, names[key], machine / "data")
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "From the cache: 1 of 2 runs" in done.stdout
    (report,) = (tmp_path / "passed-on").rglob("9-first.xml")
    ((case,),) = JUnitXml.fromfile(str(report))
    assert case.name.startswith("Task 9-first ")


def run(job: Job, name: str, data: Path) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        **job.variables,
        "CI_JOB_NAME": name,
        "PATH": f"{warm_program().parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TASK_MANAGER_DATA_DIR": str(data),
        "TASK_MANAGER_IMAGES": "host",
    }
    bash = shutil.which("bash") or "bash"
    return subprocess.run(
        [bash, "-e", "-c", job.script], cwd=job.folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jenkins",), "github-actions"),
        (("gitlab-ci", "nothing.yaml"), "nothing.yaml"),
        (("gitlab-ci", "../outside.yaml"), "does not lie in the working folder"),
        (("gitlab-ci", "--output", "task-manager.yaml/x"), "cannot be written"),
    ],
)
def test_bad_input_is_told(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    write_project(Path())
    shutil.copy("task-manager.yaml", "../outside.yaml")
    assert message in cli("ci", "export", *arguments, code=2).stderr


def test_a_pipeline_is_written_where_it_is_wanted(cli: Cli) -> None:
    write_project(Path())
    cli("ci", "export", "github-actions", "--output", ".github/workflows/tasks.yaml", "--install", "uv tool install it")
    text = Path(".github/workflows/tasks.yaml").read_text()
    assert text.startswith("# Made by: task-manager ci export github-actions task-manager.yaml\n")
    assert "uv tool install it\n" in text
