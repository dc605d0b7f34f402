"""Pipelines of services that run a project file's tasks: a job for each task, with the same graph.

A job runs its task and those that it depends on, which the results of the jobs before answer: these are passed on in a
folder that `task-manager ci run --results` reads and writes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from task_manager.project_file import ProjectFile, TaskEntry, unused
from task_manager.yaml_text import yaml_text

Made = dict[str, Any]

_PYTHON: Final = "3.12"
_RESULTS: Final = "task-manager-results"
_REPORTS: Final = "task-manager-reports"
_PASSED_ON: Final = ".task-manager-ci"
# What GitLab takes for something else than a job.
_RESERVED: Final = frozenset(
    {
        "after_script",
        "before_script",
        "cache",
        "default",
        "image",
        "include",
        "pages",
        "services",
        "spec",
        "stages",
        "types",
        "variables",
        "workflow",
    }
)


@dataclass(frozen=True)
class PipelineOptions:
    """How a pipeline is made.

    Attributes:
        path: The project file, relative to the repository, with `/`.
        engine: `dagger` or `embedded`.
        install: The command that installs the task manager.
    """

    path: str
    engine: str = "dagger"
    install: str = f"pip install task-manager-dagger=={version('task-manager-dagger')}"


def github_actions(file: ProjectFile, options: PipelineOptions) -> str:
    """A workflow of GitHub Actions, in YAML."""
    names = _names(file.tasks, lambda key: re.sub(r"^(?=[^A-Za-z_])", "_", key.replace(".", "-")))
    workflow = {
        "name": _literal(file.name),
        "on": {"push": {}, "pull_request": {}},
        "permissions": {"contents": "read"},
        "jobs": {names[entry.key]: _github_job(entry, names, options) for entry in file.tasks},
    }
    return _document("github-actions", workflow, options)


def gitlab_ci(file: ProjectFile, options: PipelineOptions) -> str:
    """A pipeline of GitLab CI/CD, in YAML."""
    names = _names(file.tasks, lambda key: f"task-{key}" if key in _RESERVED else key)
    pipeline = {
        "default": {"image": f"docker.io/library/python:{_PYTHON}-slim-trixie"},
        **_gitlab_docker(options),
        **{names[entry.key]: _gitlab_job(entry, names, options) for entry in file.tasks},
    }
    return _document("gitlab-ci", pipeline, options)


PIPELINES: Final[Mapping[str, Callable[[ProjectFile, PipelineOptions], str]]] = {
    "github-actions": github_actions,
    "gitlab-ci": gitlab_ci,
}
"""What makes the pipeline of each service."""


def _github_job(entry: TaskEntry, names: Mapping[str, str], options: PipelineOptions) -> Made:
    results = f"${{{{ runner.temp }}}}/{_RESULTS}"
    download = [
        {
            "uses": "actions/download-artifact@v5",
            "with": {"name": f"{_RESULTS}-{names[key]}", "path": results},
        }
        for key in entry.depends_on
    ]
    uploads = [
        {
            "uses": "actions/upload-artifact@v4",
            "with": {"name": f"{_RESULTS}-{names[entry.key]}", "path": results, "if-no-files-found": "ignore"},
        },
        {
            "if": "always()",
            "uses": "actions/upload-artifact@v4",
            "with": {"name": f"{_REPORTS}-{names[entry.key]}", "path": f"${{{{ runner.temp }}}}/{_REPORTS}"},
        },
    ]
    steps: list[Made] = [
        {"uses": "actions/checkout@v5", "with": {"persist-credentials": False}},
        {"uses": "actions/setup-python@v6", "with": {"python-version": _PYTHON}},
        {"name": "Set up", "run": "\n".join([options.install, *_github_engine(options)]) + "\n"},
        *download,
        {"name": "Run the task", "run": _run(entry, options, '"$RUNNER_TEMP"/')},
        *uploads,
    ]
    needs = {"needs": [names[key] for key in entry.depends_on]} if entry.depends_on else {}
    return {"name": _literal(entry.title), "runs-on": "ubuntu-24.04", **needs, "steps": steps}


def _github_engine(options: PipelineOptions) -> list[str]:
    if options.engine == "embedded":
        return ["sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"]
    return [_dagger("$HOME/.local/bin"), 'echo "$HOME/.local/bin" >> "$GITHUB_PATH"']


def _gitlab_job(entry: TaskEntry, names: Mapping[str, str], options: PipelineOptions) -> Made:
    """While a task runs, what jobs pass on lies beside the repository: within, it would be among the sources."""
    beside = '"$CI_PROJECT_DIR".task-manager'
    take = f"rm -rf {beside} && if [ -d {_PASSED_ON} ]; then mv {_PASSED_ON} {beside}; fi"
    return {
        "needs": [names[key] for key in entry.depends_on],
        "before_script": [options.install, *_gitlab_engine(options), take],
        "script": [_run(entry, options, f"{beside}/")],
        "after_script": [f"mv {beside} {_PASSED_ON}"],
        "artifacts": {
            "when": "always",
            "paths": [f"{_PASSED_ON}/"],
            "reports": {"junit": f"{_PASSED_ON}/{_REPORTS}/{entry.key}.xml"},
        },
    }


def _gitlab_docker(options: PipelineOptions) -> Made:
    """Docker beside each job, over TLS: Dagger's command line starts its engine there."""
    if options.engine == "embedded":
        return {}
    variables = {
        "DOCKER_HOST": "tcp://docker:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_TLS_CERTDIR": "/certs",
        "DOCKER_CERT_PATH": "/certs/client",
    }
    return {"services": ["docker.io/library/docker:29-dind"], "variables": variables}


def _gitlab_engine(options: PipelineOptions) -> list[str]:
    if options.engine == "embedded":
        return []
    return [
        "apt-get update && apt-get install --yes --no-install-recommends curl docker-cli",
        _dagger("/usr/local/bin"),
    ]


def _dagger(folder: str) -> str:
    # The way that Dagger's documentation names.
    pinned = f"DAGGER_VERSION={version('dagger-io')} BIN_DIR={folder}"
    return f"curl -fsSL https://dl.dagger.io/dagger/install.sh | {pinned} sh"


def _run(entry: TaskEntry, options: PipelineOptions, folder: str) -> str:
    """The call that runs a task, with its reports; it is also what a person runs by hand."""
    words = [
        f"task-manager ci run {shlex.quote(options.path)}",
        f"--task {entry.key}",
        f"--engine {options.engine}",
        f"--results {folder}{_RESULTS}",
        f"--junit {folder}{_REPORTS}/{entry.key}.xml",
        f"--sarif {folder}{_REPORTS}/{entry.key}.sarif",
    ]
    return " ".join(words)


def _names(entries: Sequence[TaskEntry], name: Callable[[str], str]) -> dict[str, str]:
    """A job's name for each task's key; two that would have the same get a number."""
    names: dict[str, str] = {}
    for entry in entries:
        names[entry.key] = unused(name(entry.key), names.values())
    return names


def _literal(text: str) -> str:
    """A text in which the service finds no expression."""
    return text.replace("${{", "${{ '${{' }}")


def _document(service: str, data: Made, options: PipelineOptions) -> str:
    return f"# Made by: task-manager ci export {service} {shlex.quote(options.path)}\n{yaml_text(data)}"
