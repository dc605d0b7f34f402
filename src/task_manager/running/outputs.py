"""Outputs of a step, brought to the host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from task_manager.communication.translation import engine_errors
from task_manager.errors import EngineError, EngineLost, OutputInvalid
from task_manager.pipeline import Output, OutputType, Step
from task_manager.running.containers import output_path
from task_manager.running.records import ExportedOutput

if TYPE_CHECKING:
    import dagger


async def export_outputs(
    step: Step, container: dagger.Container, folder: Path, *, lenient: bool
) -> tuple[tuple[ExportedOutput, ...], OutputInvalid | None]:
    """Bring a step's outputs to the host.

    Args:
        step: The step that ended.
        container: Its container, after the command.
        folder: Each output goes to `OUTPUT/` in it, a file under its own name.
        lenient: Whether missing outputs are passed over, as after a failed command.

    Returns:
        What is there, and an error that names the outputs that should be.
    """
    exported: list[ExportedOutput] = []
    missing: list[Output] = []
    for output in step.outputs:
        path = await _export(step, output, container, folder)
        if path is not None:
            exported.append(ExportedOutput(step.id, output, path))
        elif not (output.optional or lenient):
            missing.append(output)
    return tuple(exported), _missing(step, missing) if missing else None


async def _export(step: Step, output: Output, container: dagger.Container, folder: Path) -> Path | None:
    target = folder / output.name
    with engine_errors():
        if output.type is OutputType.STDOUT:
            return _written(target / "stdout.txt", await container.stdout())
        inside = output_path(step, output)
        try:
            with engine_errors():
                return await _copy(container, output, inside, target)
        except EngineLost:
            raise
        except EngineError as error:
            if _says_missing(error):
                return None
            raise


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


def _missing(step: Step, outputs: list[Output]) -> OutputInvalid:
    named = ", ".join(f"{output.name} ({output.type} at {output_path(step, output)})" for output in outputs)
    return OutputInvalid(
        f"Step {step.id} ended well but left no {named}.",
        remedy="Let the command write it, correct the path, or declare the output optional.",
        details={"step": step.id, "outputs": [output.name for output in outputs]},
    )
