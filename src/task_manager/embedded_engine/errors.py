"""The engine's errors.

EngineError                     everything below
├── ConfigurationError          a setting that cannot be used
├── SandboxUnavailableError     the machine forbids what a sandbox needs
├── StorageError                the state folder is full, unwritable or of another version
└── ApiError                    an answer to a request, with GraphQL extensions
    ├── UnsupportedError        named in the API, not offered here
    ├── ExecError               a command that ended otherwise than expected
    ├── RegistryUnreachableError  a registry that did not answer at all
    └── ImageNotPulledError     a registry or layout that answered, but gave no usable image
"""

from collections.abc import Mapping, Sequence


class EngineError(Exception):
    """Any error that the engine raises on purpose."""


class ConfigurationError(EngineError):
    """A setting is unknown or has a value that cannot be used."""


class SandboxUnavailableError(EngineError):
    """The machine forbids or lacks what a sandbox needs; the message carries the remedy."""


class StorageError(EngineError):
    """The state folder cannot be used: full, not writable, or written by another version."""


class ApiError(EngineError):
    """An error that a client reads in a GraphQL answer."""

    @property
    def extensions(self) -> Mapping[str, object]:
        """The machine-readable part of the answer; empty where the message says everything."""
        return {}


class UnsupportedError(ApiError):
    """A field of the API that this engine names but does not offer."""


class ExecError(ApiError):
    """A command ended otherwise than expected.

    Args:
        command: The arguments that ran, the program first.
        exit_code: What it ended with; 128 + n for signal n.
        stdout: Its standard output, trimmed at the end.
        stderr: Its standard error, trimmed at the end.
        context: What failed by it, such as the start of a service.
    """

    def __init__(self, command: Sequence[str], exit_code: int, stdout: str, stderr: str, context: str = "") -> None:
        super().__init__(f"{context}: exit code: {exit_code}" if context else f"exit code: {exit_code}")
        self.command = list(command)
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr

    def within(self, context: str) -> "ExecError":
        """Return the error with words on what failed by it."""
        return ExecError(self.command, self.exit_code, self.stdout, self.stderr, context)

    @property
    def extensions(self) -> Mapping[str, object]:
        """The fields that SDKs build their own ExecError from."""
        return {
            "_type": "EXEC_ERROR",
            "cmd": self.command,
            "exitCode": self.exit_code,
            "stdout": self.stdout,
            "stderr": self.stderr,
        }


class RegistryUnreachableError(ApiError):
    """A registry could not be reached: refused, unknown host, or silent past the connect time-out."""

    def __init__(self, registry: str, image: str, reason: str) -> None:
        super().__init__(
            f"registry {registry} cannot be reached for image {image}: {reason}; check the network and the name, "
            f"or configure a mirror for {registry}"
        )
        self.registry = registry
        self.image = image

    @property
    def extensions(self) -> Mapping[str, object]:
        """Which registry and which image."""
        return {"_type": "REGISTRY_UNREACHABLE", "registry": self.registry, "image": self.image}


class ImageNotPulledError(ApiError):
    """The registry or layout answered, but no usable image came of it."""

    def __init__(self, image: str, reason: str, registry: str = "") -> None:
        super().__init__(f"image {image} cannot be pulled: {reason}")
        self.registry = registry
        self.image = image

    @property
    def extensions(self) -> Mapping[str, object]:
        """Which registry (empty for a layout on disk) and which image."""
        return {"_type": "IMAGE_NOT_PULLED", "registry": self.registry, "image": self.image}
