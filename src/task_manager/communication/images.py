"""Which image a step really runs on: its own, or the host's toolchain."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from task_manager.communication.sessions import EngineKind, EngineSession
from task_manager.communication.translation import engine_errors
from task_manager.config import ImagePolicy
from task_manager.errors import InvalidConfiguration, MissingPrograms, RegistryUnreachable
from task_manager.pipeline import HOST_TOOLCHAIN, Service, Step
from task_manager.workflow_status import Reason

if TYPE_CHECKING:
    import dagger

_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_MODULE = "module:"
_ENTRY_POINT = "the entry point"


@dataclass(frozen=True)
class ResolvedImage:
    """An image that is there.

    Attributes:
        reference: What the container is made from.
        digest: `REFERENCE@sha256:…` as the engine names it; none when it does not tell.
        container: A container of that image, evaluated.
        warning: What people should know; none when the image is the one that was asked for.
    """

    reference: str
    digest: str | None
    container: dagger.Container
    warning: Reason | None = None


Needs = Mapping[str, Sequence[str]]
"""What each user of an image needs: for a step, or `STEP/SERVICE`, programs and `module:NAME`."""


async def resolve_image(session: EngineSession, image: str, needs: Needs, policy: ImagePolicy) -> ResolvedImage:
    """Make an image ready.

    Args:
        session: Where it is pulled.
        image: The reference in the pipeline.
        needs: What those who use it need; it is checked before the host's toolchain stands in.
        policy: `pull`, `host`, or `auto`: the host's toolchain when the registry cannot be reached.

    Raises:
        RegistryUnreachable: The registry does not answer, and nothing may stand in for the image.
        ImageUnavailable: The registry does not have the image.
        MissingPrograms: The host's toolchain lacks something that is needed.
        InvalidConfiguration: The host's toolchain is wanted where the engine has none.
    """
    if policy is ImagePolicy.HOST or image == HOST_TOOLCHAIN:
        return await _host_toolchain(session, image, needs, None)
    try:
        return await _pull(session, image, None)
    except RegistryUnreachable as error:
        if policy is not ImagePolicy.AUTO or session.kind is not EngineKind.EMBEDDED:
            raise
        return await _host_toolchain(session, image, needs, error)


async def resolve_again(session: EngineSession, image: ResolvedImage) -> ResolvedImage:
    """The very same image in another session, whatever its tag names by now.

    Raises:
        EngineError: It cannot be had there.
    """
    pinned = image.digest if image.digest and image.reference != HOST_TOOLCHAIN else image.reference
    with engine_errors():
        return replace(image, container=await session.client.container().from_(pinned).sync())


def missing_programs(needs: Needs) -> dict[str, list[str]]:
    """What is needed and the host's toolchain does not have, by user; those that lack nothing are left out."""
    missing = {user: [need for need in needed if not _is_there(need)] for user, needed in needs.items()}
    return {user: lacking for user, lacking in missing.items() if lacking}


def needs_by_image(steps: Iterable[Step]) -> dict[str, dict[str, tuple[str, ...]]]:
    """The images of steps and of their services, each with what those who use it need."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for step in steps:
        found.setdefault(step.image, {})[step.id] = _needs_of_step(step)
        for service in step.services:
            found.setdefault(service.image, {})[f"{step.id}/{service.name}"] = _needs_of_service(service)
    return found


def _needs_of_step(step: Step) -> tuple[str, ...]:
    """What it says that it requires, and the program that it starts with."""
    first = step.command[:1] if step.command else step.script.interpreter[:1] if step.script else ()
    return tuple(dict.fromkeys([*step.requires, *_by_name(first)]))


def _needs_of_service(service: Service) -> tuple[str, ...]:
    return _by_name(service.command[:1]) if service.command else (f"{_ENTRY_POINT} of {service.image}",)


def _by_name(program: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in program if "/" not in name)


async def _pull(session: EngineSession, reference: str, warning: Reason | None) -> ResolvedImage:
    with engine_errors():
        container = await session.client.container().from_(reference).sync()
        named = await container.image_ref()
    return ResolvedImage(reference, named if "@sha256:" in named else None, container, warning)


async def _host_toolchain(
    session: EngineSession, image: str, needs: Needs, cause: RegistryUnreachable | None
) -> ResolvedImage:
    if session.kind is not EngineKind.EMBEDDED:
        raise InvalidConfiguration(
            f"Only the embedded engine offers the host's toolchain; this one is {session.description}.",
            remedy="Set images = pull, or engine = embedded.",
        )
    missing = missing_programs(needs)
    if missing:
        raise _lacking(image, missing, cause)
    return await _pull(session, HOST_TOOLCHAIN, _stand_in(image, cause))


def _stand_in(image: str, cause: RegistryUnreachable | None) -> Reason | None:
    if image == HOST_TOOLCHAIN:
        return None
    why = f"its registry could not be reached ({cause})" if cause else "images = host"
    return Reason(
        code="host_toolchain",
        text=f"Instead of the image {image} the host's toolchain was used: {why}.",
        details={"image": image, "reference": HOST_TOOLCHAIN},
    )


def _lacking(image: str, missing: dict[str, list[str]], cause: RegistryUnreachable | None) -> MissingPrograms:
    users = "; ".join(f"{user}: {', '.join(lacking)}" for user, lacking in missing.items())
    first = f"{cause} " if cause else ""
    return MissingPrograms(
        f"{first}The host's toolchain, which would stand in for the image {image}, lacks what is needed ({users}).",
        remedy="Install them, or make the image's registry reachable (a mirror can be configured).",
        details={"image": image, "missing": missing},
    )


def _is_there(need: str) -> bool:
    if need.startswith(_ENTRY_POINT):
        return False
    if need.startswith(_MODULE):
        return _has_module(need.removeprefix(_MODULE))
    path = os.pathsep.join((os.path.dirname(sys.executable), *_SYSTEM_PATH))  # noqa: PTH120
    return shutil.which(need, path=path) is not None


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
