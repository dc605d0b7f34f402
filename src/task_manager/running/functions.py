"""`dagger_pipeline`: a function `async def pipeline(dag, inputs)` that the user wrote with the Dagger SDK."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import re
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from task_manager.communication.translation import engine_errors
from task_manager.errors import InvalidConfiguration, InvalidPipeline, OutputInvalid, StepFailed

if TYPE_CHECKING:
    import dagger

_NAME = re.compile(r"^([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)$")

PipelineFunction = Callable[[Any, dict[str, JsonValue]], Awaitable[object]]


def load_function(name: str, pipelines_dir: Path | None) -> PipelineFunction:
    """The function that `module:function` names, from the pipelines folder only.

    Args:
        name: Such as `release:pipeline`, or `team.release:pipeline` for a module in a folder.
        pipelines_dir: The configured folder.

    Raises:
        InvalidConfiguration: No folder is configured.
        InvalidPipeline: The name is malformed, the module is not in the folder or cannot be loaded, or it has no
            such coroutine function.
    """
    match = _NAME.match(name)
    if match is None:
        raise InvalidPipeline(f"{name!r} does not name a function; write module:function.")
    if pipelines_dir is None:
        raise InvalidConfiguration(
            f"The pipeline {name} is a function, but no folder of such functions is configured.",
            remedy="Set pipelines_dir (TASK_MANAGER_PIPELINES_DIR) to the folder of the module.",
        )
    path = _module_path(match[1], pipelines_dir.resolve())
    function = getattr(_load_module(match[1], path), match[2], None)
    if not inspect.iscoroutinefunction(function):
        raise InvalidPipeline(
            f"{path.name} has no coroutine function {match[2]!r}.",
            remedy=f"Write: async def {match[2]}(dag, inputs): …",
            details={"function": name},
        )
    return function


async def call_function(
    function: PipelineFunction, client: dagger.Client, inputs: Mapping[str, JsonValue], folder: Path
) -> Path:
    """Run a pipeline function and keep what it returns.

    Args:
        function: The user's function.
        client: The session's client, handed to it as `dag`.
        inputs: The workflow's parameters.
        folder: Where a returned file or directory is exported to, and any other value is written as JSON.

    Returns:
        The file or folder that holds the value.

    Raises:
        StepFailed: The function raised; `stderr` in the details has the end of its traceback.
        OutputInvalid: What it returned is neither a Dagger file or directory nor JSON-like.
    """
    import dagger

    try:
        value = await function(client, dict(inputs))
    except dagger.DaggerError:
        with engine_errors():
            raise
    except (Exception, SystemExit) as error:
        raise _raised(error) from error
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    return await _keep(value, folder)


async def _keep(value: object, folder: Path) -> Path:
    import dagger

    with engine_errors():
        if isinstance(value, dagger.Directory):
            await value.export(str(folder / "directory"))
            return folder / "directory"
        if isinstance(value, dagger.File):
            path = folder / (await value.name())
            await value.export(str(path))
            return path
    path = folder / "value.json"
    try:
        path.write_text(json.dumps(to_jsonable_python(value), ensure_ascii=False, indent=1))
    except ValueError as error:
        raise OutputInvalid(
            f"The pipeline function returned {type(value).__name__}, which is no JSON value, file or directory.",
            remedy="Return a dagger.File, a dagger.Directory or JSON-like data.",
        ) from error
    return path


def _module_path(module: str, root: Path) -> Path:
    base = root.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        resolved = candidate.resolve()
        if resolved.is_file() and root in resolved.parents:
            return resolved
    raise InvalidPipeline(
        f"There is no module {module!r} in the pipelines folder {root}.",
        details={"module": module, "folder": str(root)},
    )


def _load_module(module: str, path: Path) -> object:
    # A name of our own keeps it apart from everything importable; it is loaded anew each time, so edits count.
    name = f"task_manager_pipelines.{module}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidPipeline(f"{path} cannot be loaded as a Python module.")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    try:
        spec.loader.exec_module(loaded)
    except (Exception, SystemExit) as error:
        raise InvalidPipeline(
            f"Loading {path.name} failed: {type(error).__name__}: {error}",
            details={"traceback": traceback.format_exc(limit=-3)},
        ) from error
    return loaded


def _raised(error: BaseException) -> StepFailed:
    text = "".join(traceback.format_exception(error))
    return StepFailed(
        f"The pipeline function raised {type(error).__name__}: {error}",
        details={"exit_code": 1, "stdout": "", "stderr": text, "command": []},
    )
