"""Each step alone: its command, environment, services, outputs, and what lies where in its container."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from task_manager.conversion.findings import Finding, Severity
from task_manager.conversion.paths import container_path, source_path
from task_manager.conversion.placement import placement_findings
from task_manager.errors import near_misses
from task_manager.pipeline import HostSource, OutputType, Pipeline, Step


def content_findings(pipeline: Pipeline, *, files: Collection[str] | None = None) -> Iterator[Finding]:
    """Check what each step says about itself.

    Args:
        pipeline: It fits the schema.
        files: The files of the task's source folder, relative; None: unknown.

    Yields:
        Errors and warnings with their places.
    """
    for index, step in enumerate(pipeline.steps):
        place = f"steps[{index}]"
        yield from _command(place, step)
        yield from _environment(place, step)
        yield from _services(place, step)
        yield from _outputs(place, step)
        yield from _host_sources(place, step, files)
        yield from placement_findings(place, step)
        yield from _time(place, step, pipeline)


def _command(place: str, step: Step) -> Iterator[Finding]:
    if step.command is not None and step.script is not None:
        yield Finding(
            place=f"{place}.script",
            code="command_and_script",
            message="A step has either a command or a script, not both.",
            remedy="Take one of them out, or make two steps.",
        )
    if step.command is not None and not (step.command and step.command[0].strip()):
        yield Finding(
            place=f"{place}.command",
            code="empty_command",
            message="The command names no program.",
            remedy="Give program and arguments, or leave the command out when files are only to be put together.",
        )
    if not step.workdir.startswith("/"):
        yield Finding(
            place=f"{place}.workdir",
            code="relative_workdir",
            message=f"The working folder {step.workdir!r} is relative.",
            remedy=f"Give an absolute path: {container_path('/', step.workdir)!r}.",
        )


def _environment(place: str, step: Step) -> Iterator[Finding]:
    for name in sorted(step.environment.keys() & step.secrets.keys()):
        yield Finding(
            place=f"{place}.secrets.{name}",
            code="environment_clash",
            message=f"The variable {name!r} is set by the environment and by a secret.",
            remedy="Take one of them out.",
        )


def _services(place: str, step: Step) -> Iterator[Finding]:
    seen: dict[str, int] = {"localhost": -1}
    for index, service in enumerate(step.services):
        first = seen.setdefault(service.name, index)
        if first != index:
            taken = f"services[{first}]" if first >= 0 else "the container itself"
            yield Finding(
                place=f"{place}.services[{index}].name",
                code="duplicate_service",
                message=f"The name {service.name!r} is taken by {taken}.",
                remedy="Give every service of a step a name of its own.",
            )
    if step.services and not step.network:
        yield Finding(
            place=f"{place}.network",
            code="services_without_network",
            message="The step has services, which it reaches over the network, but asks for no network.",
            remedy="Set network to true, or take the services out.",
        )


def _outputs(place: str, step: Step) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, output in enumerate(step.outputs):
        here = f"{place}.outputs[{index}]"
        if seen.setdefault(output.name, index) != index:
            yield Finding(
                place=f"{here}.name",
                code="duplicate_output",
                message=f"The name {output.name!r} is taken by outputs[{seen[output.name]}].",
                remedy="Give every output of a step a name of its own.",
            )
        if output.type is OutputType.STDOUT:
            yield from _standard_output(here, step, has_path=output.path is not None)
        elif output.path is None:
            yield Finding(
                place=f"{here}.path",
                code="output_without_path",
                message=f"The output {output.name!r} is a {output.type}, but has no path.",
                remedy="Say where in the container it lies, or make it of type 'stdout'.",
            )


def _standard_output(place: str, step: Step, *, has_path: bool) -> Iterator[Finding]:
    if step.command is None and step.script is None:
        yield Finding(
            place=f"{place}.type",
            code="no_standard_output",
            message="The step runs nothing that could write to the standard output.",
            remedy="Give the step a command or a script, or take the output out.",
        )
    if has_path:
        yield Finding(
            place=f"{place}.path",
            code="unused_path",
            message="What is written to the standard output has no path; this one is not used.",
            remedy="Take the path out, or make it of type 'file'.",
            severity=Severity.WARNING,
        )


def _host_sources(place: str, step: Step, files: Collection[str] | None) -> Iterator[Finding]:
    for index, source in enumerate(step.sources):
        if not isinstance(source, HostSource):
            continue
        here = f"{place}.sources[{index}]"
        yield from _escapes(here, source)
        path = source_path(source.path)
        if path is not None and files is not None and not _exists(path, files):
            near = near_misses(path, files)
            yield Finding(
                place=f"{here}.path",
                code="source_missing",
                message=f"The source folder has no {source.path!r}.",
                remedy=f"Did you mean {' or '.join(repr(name) for name in near)}?" if near else "Create it first.",
            )


def _escapes(place: str, source: HostSource) -> Iterator[Finding]:
    if source_path(source.path) is None:
        yield Finding(
            place=f"{place}.path",
            code="path_escape",
            message=f"The path {source.path!r} leaves the task's source folder.",
            remedy="Give a path relative to the source folder, without leading '..'.",
        )
    for kind, patterns in (("include", source.include), ("exclude", source.exclude)):
        for index, pattern in enumerate(patterns):
            if ".." in pattern.split("/"):
                yield Finding(
                    place=f"{place}.{kind}[{index}]",
                    code="path_escape",
                    message=f"The pattern {pattern!r} leaves the source's folder.",
                    remedy="Patterns match inside of the source; take '..' out.",
                )


def _exists(path: str, files: Collection[str]) -> bool:
    return path == "." or any(file == path or file.startswith(path + "/") for file in files)


def _time(place: str, step: Step, pipeline: Pipeline) -> Iterator[Finding]:
    if step.timeout is not None and pipeline.timeout is not None and step.timeout > pipeline.timeout:
        yield Finding(
            place=f"{place}.timeout",
            code="timeout_too_long",
            message=f"The step may take {step.timeout:g} s, the whole run only {pipeline.timeout:g} s.",
            remedy="Shorten the step's time-out, or lengthen the run's.",
            severity=Severity.WARNING,
        )
