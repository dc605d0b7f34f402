"""A Python client is generated from the published document, and does what a person would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.rest_api.publish_document import PUBLISHED
from tests.rest_api.server import RunningApi

PROGRAM = """
import sys, time
from generated import Client
from generated.api.projects import create_project, get_project, update_project
from generated.api.runs import get_run_status, list_runs
from generated.api.tasks import create_task, list_tasks, run_task
from generated.models import NewProject, NewRun, NewTask, NewTaskPipelineType0, Problem, ProjectChanges

client = Client(base_url=sys.argv[1], timeout=60)
project = create_project.sync(client=client, body=NewProject(name="generated"), idempotency_key="once")
assert create_project.sync(client=client, body=NewProject(name="generated"), idempotency_key="once").id == project.id
pipeline = NewTaskPipelineType0.from_dict({"steps": [{"id": "only", "image": "busybox", "command": ["true"]}]})
task = create_task.sync(client=client, body=NewTask(project_id=project.id, title="Job", pipeline=pipeline))
run = run_task.sync(task.id, client=client, body=NewRun())
while not (status := get_run_status.sync(run.id, client=client)).over:
    time.sleep(0.02)
assert status.status == "succeeded", status
assert [one.id for one in list_runs.sync(client=client, task_id=task.id).items] == [run.id]
assert [one.title for one in list_tasks.sync(client=client, project_id=project.id).items] == ["Job"]
refused = update_project.sync("generated", client=client, body=ProjectChanges(description="d"), if_match='"9"')
assert isinstance(refused, Problem) and (refused.status, refused.code) == (412, "revision_mismatch"), refused
changed = update_project.sync("generated", client=client, body=ProjectChanges(description="d"), if_match='"1"')
assert (changed.description, changed.revision) == ("d", 2)
missing = get_project.sync("nobody", client=client)
assert isinstance(missing, Problem) and missing.code == "not_found"
print("done")
"""


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the generated package lies."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "config.yml").write_text("package_name_override: generated\npost_hooks: []\n")
    command = ["generate", "--path", str(PUBLISHED), "--meta", "none", "--output-path", str(folder / "generated")]
    made = subprocess.run(
        [Path(sys.executable).parent / "openapi-python-client", *command, "--config", folder / "config.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def test_a_generated_client_creates_runs_and_reads(api: RunningApi, generated: Path) -> None:
    program = subprocess.run(
        [sys.executable, "-c", PROGRAM, api.url], cwd=generated, capture_output=True, text=True, check=False
    )
    assert program.returncode == 0, program.stderr
    assert program.stdout.strip() == "done"
