"""Which engine would be used, why, and whether it works here."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from task_manager.communication import DaggerCommunicationManager, EngineKind
from task_manager.communication.sessions import (
    choose_engine,
    embedded_command,
    engine_folder,
    write_engine_configuration,
)
from task_manager.config import ImagePolicy, Settings
from task_manager.errors import EngineUnavailable, TaskManagerError

_DOCTOR_SECONDS = 60.0
_SETTINGS = {
    "max_processes": "engine_limits.processes",
    "max_memory": "engine_limits.memory",
    "max_output": "engine_limits.output",
}
"""The engine's own settings that its examination names, with what they are called here."""


class _Report(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Check(_Report):
    """One thing that was checked.

    Attributes:
        required: Whether the engine cannot work without it.
        remedy: What to do when it is not ok.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True


class EngineReport(_Report):
    """The engine that would be used.

    Attributes:
        kind: None when none can be chosen.
        reason: Why this one.
        version: What it answered; empty when it was not asked or did not answer.
        images: What steps would run on.
        state_folder: Where the embedded engine keeps its layers.
        checks: What was examined, one by one.
    """

    kind: EngineKind | None
    reason: str
    version: str = ""
    images: ImagePolicy
    state_folder: Path
    checks: tuple[Check, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether everything that is required works."""
        return all(check.ok for check in self.checks if check.required)


async def report_engine(settings: Settings, *, thorough: bool = False) -> EngineReport:
    """Choose the engine and let it answer.

    Args:
        settings: Which engine to use, and how.
        thorough: Whether the machine is examined too.

    Returns:
        The report; what does not work is in its checks.
    """
    facts = {"images": settings.images, "state_folder": engine_folder(settings)}
    try:
        choice = await choose_engine(settings)
    except TaskManagerError as error:
        return EngineReport(kind=None, reason="", checks=(_failed("choice", error),), **facts)
    checks = await _examine_machine(settings) if thorough and choice.kind is EngineKind.EMBEDDED else ()
    version, answer = await _ask(settings) if all(check.ok for check in checks if check.required) else ("", None)
    return EngineReport(
        kind=choice.kind,
        reason=choice.reason,
        version=version,
        checks=(*checks, answer) if answer else checks,
        **facts,
    )


async def _ask(settings: Settings) -> tuple[str, Check]:
    communication = DaggerCommunicationManager(settings)
    try:
        async with communication.guard() as session:
            return session.version, Check(name="session", ok=True, detail=f"{session.description} answers")
    except TaskManagerError as error:
        return "", _failed("session", error)
    finally:
        await communication.shutdown()


async def _examine_machine(settings: Settings) -> tuple[Check, ...]:
    """What the embedded engine finds out about this machine."""
    try:
        configuration = await asyncio.to_thread(write_engine_configuration, settings)
    except EngineUnavailable as error:
        return (_failed("configuration", error),)
    where = ("--state-dir", str(engine_folder(settings)), "--config", str(configuration))
    command = embedded_command("doctor", "--json", *where)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    try:
        stdout, stderr = await asyncio.wait_for(process.communicate(), _DOCTOR_SECONDS)
        return tuple(
            Check.model_validate(finding) for finding in json.loads(_in_our_words(stdout.decode()))["findings"]
        )
    except TimeoutError:
        process.kill()
        await process.wait()
        return (_failed("machine", EngineUnavailable("The examination of the machine did not end.")),)
    except ValueError:
        message = stderr.decode(errors="replace").strip() or "The examination of the machine told nothing."
        return (_failed("machine", EngineUnavailable(message)),)


def _in_our_words(text: str) -> str:
    """What the engine says, with the settings by the names that they have here."""
    for name, setting in _SETTINGS.items():
        text = text.replace(f"setting {name}", f"setting {setting}")
    return text


def _failed(name: str, error: TaskManagerError) -> Check:
    return Check(name=name, ok=False, detail=error.message, remedy=error.remedy)
