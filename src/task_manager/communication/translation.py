"""Foreign errors of the engine's side, turned into ours, once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from task_manager.errors import (
    EngineError,
    EngineLost,
    EngineUnavailable,
    ImageUnavailable,
    RegistryUnreachable,
    StepFailed,
    StoreFull,
    TaskManagerError,
)

# What a real engine's messages say when it pulls an image; the embedded engine tells by the error's type.
_UNREACHABLE = re.compile(
    r"dial tcp|connection refused|no such host|i/o timeout|TLS handshake timeout|network is unreachable"
    r"|server misbehaving",
    re.IGNORECASE,
)
_PULL = re.compile(
    r"failed to (?:resolve|pull|load)|pull access denied|manifest unknown|unexpected status", re.IGNORECASE
)
_TRACE = re.compile(r" \[traceparent:[^\]]*\]")


@contextmanager
def engine_errors() -> Iterator[None]:
    """Translate what the Dagger SDK raises inside.

    Raises:
        StepFailed: A command ended with an unexpected code; details: command, exit_code, stdout, stderr.
        RegistryUnreachable: An image's registry does not answer.
        ImageUnavailable: An image cannot be had from its registry.
        StoreFull: The engine's disk is full.
        EngineLost: The session went away.
        EngineUnavailable: No session could be started.
        EngineError: Whatever else the engine refused.
    """
    try:
        yield
    except TaskManagerError:
        raise
    except Exception as error:
        raise translated(error) from error


def translated(error: Exception) -> TaskManagerError:
    """Our error for one of the SDK's; what nobody knows becomes an `EngineError`."""
    import dagger

    if isinstance(error, dagger.ExecError):
        return _exec_error(error)
    if isinstance(error, dagger.QueryError):
        return _query_error(str(error), error.error.extensions)
    if isinstance(error, dagger.ProvisionError):
        return EngineUnavailable(f"The engine did not start: {error}", remedy="See `task-manager engine doctor`.")
    if isinstance(error, dagger.InvalidQueryError):
        return EngineError(f"The engine does not know this call: {error}", remedy="Use a Dagger engine 0.21 or later.")
    if isinstance(error, dagger.DaggerError) or _is_connection_loss(error):
        return EngineLost(f"The engine's session ended: {error or type(error).__name__}", remedy="Start the run again.")
    return EngineError(f"The engine's client failed: {type(error).__name__}: {error}")


def _exec_error(error: Any) -> StepFailed:
    return StepFailed(
        f"The command ended with exit code {error.exit_code}.",
        details={
            "command": list(error.command),
            "exit_code": error.exit_code,
            "stdout": error.stdout,
            "stderr": error.stderr,
        },
    )


def _query_error(message: str, extensions: dict[str, Any]) -> TaskManagerError:
    text = _TRACE.sub("", message).strip()
    details = {key: value for key, value in extensions.items() if key in ("image", "registry")}
    kind = extensions.get("_type")
    if kind == "REGISTRY_UNREACHABLE" or (_PULL.search(text) and _UNREACHABLE.search(text)):
        return RegistryUnreachable(
            text, remedy="Check the network, name a mirror, or set images = host.", details=details
        )
    if kind == "IMAGE_NOT_PULLED" or _PULL.search(text):
        return ImageUnavailable(text, remedy="Check the image's name and tag.", details=details)
    if kind == "STORE_FULL" or "no space left on device" in text.lower():
        return StoreFull(text, remedy="Free space in the data folder, or name another with --data-dir.")
    return EngineError(text)


def _is_connection_loss(error: Exception) -> bool:
    import httpx

    return isinstance(error, httpx.TransportError | ConnectionError | EOFError)
