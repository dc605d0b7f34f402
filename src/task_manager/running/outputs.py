"""Outputs of a step, brought to the host."""

from __future__ import annotations

import asyncio
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from task_manager.communication.translation import engine_errors
from task_manager.errors import EngineError, EngineLost, OutputInvalid
from task_manager.pipeline import Output, OutputType, Step
from task_manager.running.containers import output_path
from task_manager.running.records import ExportedOutput

if TYPE_CHECKING:
    import dagger

_SHOWN: Final = 10


@dataclass(frozen=True)
class StepOutputs:
    """What a step left behind.

    Attributes:
        exported: What was brought to the host.
        there: The names of all outputs that exist, kept or not.
        missing: Names the outputs that should exist and do not.
    """

    exported: tuple[ExportedOutput, ...]
    there: frozenset[str]
    missing: OutputInvalid | None


async def export_outputs(step: Step, container: dagger.Container, folder: Path, *, lenient: bool) -> StepOutputs:
    """Bring a step's outputs to the host.

    Args:
        step: The step that ended.
        container: Its container, after the command.
        folder: Each output that is kept goes to `OUTPUT/` in it, a file under its own name.
        lenient: Whether missing outputs are passed over, as after a failed command.
    """
    exported: list[ExportedOutput] = []
    missing: list[Output] = []
    there: set[str] = set()
    for output in step.outputs:
        if not await _bring(step, output, container, folder, exported):
            missing += [] if output.optional or lenient else [output]
        else:
            there.add(output.name)
    refused = await _missing(step, missing, container) if missing else None
    return StepOutputs(tuple(exported), frozenset(there), refused)


async def _bring(
    step: Step, output: Output, container: dagger.Container, folder: Path, exported: list[ExportedOutput]
) -> bool:
    """Export an output that is kept, or see whether it is there; tells whether it is."""
    try:
        with engine_errors():
            path = await _export(step, output, container, folder / output.name)
    except EngineLost:
        raise
    except EngineError as error:
        if _says_missing(error):
            return False
        raise
    if path is not None:
        exported.append(ExportedOutput(step.id, output, path))
    return True


async def _export(step: Step, output: Output, container: dagger.Container, target: Path) -> Path | None:
    if output.type is OutputType.STDOUT:
        text = await container.stdout()
        return await asyncio.to_thread(_written, target / "stdout.txt", text) if output.keep else None
    inside = output_path(step, output)
    if output.keep:
        return await _copy(container, output, inside, target)
    if output.type is OutputType.DIRECTORY:
        await container.directory(inside).sync()
    else:
        await container.file(inside).sync()
    return None


async def _copy(container: dagger.Container, output: Output, inside: str, target: Path) -> Path:
    if output.type is OutputType.DIRECTORY:
        await container.directory(inside).export(str(target))
        return target
    path = target / (Path(inside).name or output.name)
    await container.file(inside).export(str(path))
    return path


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _says_missing(error: EngineError) -> bool:
    return any(words in error.message for words in ("no such file or directory", "not a file", "not a directory"))


async def _missing(step: Step, outputs: list[Output], container: dagger.Container) -> OutputInvalid:
    named = ", ".join(f"{output.name} ({output.type} at {output_path(step, output)})" for output in outputs)
    first = output_path(step, outputs[0])
    found = await _found_instead(container, posixpath.dirname(first))
    return OutputInvalid(
        f"Step {step.id} ended well but left no {named}: found {found}.",
        remedy="Let the command write it, correct the path, or declare the output optional.",
        details={
            "step": step.id,
            "outputs": [output.name for output in outputs],
            "file": first,
            "expected": f"a {outputs[0].type}",
            "found": found,
        },
    )


async def _found_instead(container: dagger.Container, folder: str) -> str:
    """What there is where an output is missing."""
    try:
        with engine_errors():
            names = sorted(await container.directory(folder).entries())
    except EngineLost:
        raise
    except EngineError:
        return f"no folder {folder}"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"in {folder} only {', '.join(names[:_SHOWN])}{more}" if names else f"{folder} empty"
