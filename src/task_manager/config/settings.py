"""What can be set, with its meaning, default and limits."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, StringConstraints

from task_manager.retry_policy import RetryPolicy

RUNNER_SCHEMES = (
    "tcp",
    "unix",
    "docker-container",
    "docker-image",
    "podman-container",
    "kube-pod",
    "container",
    "image",
)
ARTIFACT_SCHEMES = ("s3", "gs", "az", "file")
CACHE_SCHEMES = ("redis", "rediss", "valkey", "valkeys", "postgresql", "s3")
DATABASE_SCHEMES = ("sqlite", "postgresql", "postgresql+psycopg")

_WEEK = 7 * 24 * 3600
# Beyond it, a number of processes is none that a kernel could give out; proc_sys_kernel(5), pid_max.
_MOST_PROCESSES = 1 << 22
# A process that could not even be started would say nothing of the limit.
_LEAST_MEMORY = 16 << 20
_AGE = re.compile(r"[0-9]*[1-9][0-9]*(s|min|h|d|w)")


class EngineChoice(StrEnum):
    """Which engine executes."""

    AUTO = "auto"
    """The session in the environment, a configured runner, a Dagger that answers, else the embedded engine."""
    DAGGER = "dagger"
    """A Dagger engine; none is an error."""
    EMBEDDED = "embedded"
    """The embedded engine."""


class ImagePolicy(StrEnum):
    """What steps run on."""

    AUTO = "auto"
    """The image; on the host's toolchain where the registry cannot be reached."""
    PULL = "pull"
    """The image; a registry that cannot be reached is an error."""
    HOST = "host"
    """The host's toolchain."""


class NetworkPolicy(StrEnum):
    """What steps of the embedded engine reach; services of their own in any case, unless it is the host's network."""

    AUTO = "auto"
    """Other machines, where pasta, slirp4netns or, for root, nft is installed; else nothing."""
    HOST = "host"
    """Whatever this machine reaches, its own services included."""
    NONE = "none"
    """Nothing."""


class WorkerMode(StrEnum):
    """Who executes the runs that a command starts."""

    PROCESS = "process"
    """A worker process of its own, started when there is none; runs go on when the command ends."""
    HERE = "here"
    """The command itself, which waits for them."""
    ELSEWHERE = "elsewhere"
    """Workers that others start, such as a service of the machine; runs wait for one."""


class McpTools(StrEnum):
    """Which tools agents are shown."""

    USUAL = "usual"
    """The usual ones; the tool `more_tools` finds and calls the others."""
    ALL = "all"
    """Every tool, at several times the tokens."""


class LogLevel(StrEnum):
    """What is logged, from this level on."""

    DEBUG = "debug"
    """Everything."""
    INFO = "info"
    """What happens in the ordinary course."""
    WARNING = "warning"
    """What deserves attention."""
    ERROR = "error"
    """What went wrong."""


class LogFormat(StrEnum):
    """What log lines look like."""

    TEXT = "text"
    """`LEVEL logger: event key=value …`"""
    JSON = "json"
    """One JSON object a line."""


def _separated(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _one_of_schemes(schemes: tuple[str, ...]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value.partition("://")[0] not in schemes or "://" not in value:
            raise ValueError(f"an address that starts with one of {', '.join(f'{s}://' for s in schemes)}")
        return value

    return check


def _existing_folder(value: Path) -> Path:
    if not value.is_dir():
        raise ValueError("a folder that exists")
    return value


def _without_limit(value: object) -> object:
    return None if value == "none" else value


def _age(value: object) -> str:
    if not isinstance(value, str) or not _AGE.fullmatch(value):
        raise ValueError("an age such as 90s, 12h, 30d or 4w, or none")
    return value


def _memory(value: ByteSize) -> ByteSize:
    if value < _LEAST_MEMORY:
        raise ValueError("a size of at least 16MiB, or none")
    return value


Folder = Annotated[Path, AfterValidator(_existing_folder)]
Seconds = Annotated[float, Field(gt=0, le=_WEEK)]
RegistryHost = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?(:[0-9]{1,5})?$")]
MirrorAddress = Annotated[str, AfterValidator(_one_of_schemes(("http", "https")))]
Separated = BeforeValidator(_separated)
Unlimited = BeforeValidator(_without_limit)
Size = Annotated[ByteSize, Field(gt=0)]
Memory = Annotated[Size, AfterValidator(_memory)]
Processes = Annotated[int, Field(ge=1, le=_MOST_PROCESSES)]
Age = Annotated[str, BeforeValidator(_age)]
SecretPlace = Annotated[str, StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
VariableValue = Annotated[str, Field(coerce_numbers_to_str=True)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class Registries(_Frozen):
    """Where images come from."""

    mirrors: dict[RegistryHost, Annotated[tuple[MirrorAddress, ...], Separated]] = Field(
        default_factory=dict, description="For a registry's host, the addresses that are asked first, in order."
    )
    insecure: Annotated[tuple[RegistryHost, ...], Separated] = Field(
        (), description="Hosts that are spoken to over HTTP, or with a certificate that is not checked."
    )


class Limits(_Frozen):
    """How much is kept of what steps produce."""

    output_bytes: ByteSize = Field(
        ByteSize(10 * 1024**2), gt=0, description="Kept of each step's standard output, and of its standard error."
    )
    artifact_bytes: ByteSize = Field(ByteSize(4 * 1024**3), gt=0, description="The largest artifact.")
    run_artifacts_bytes: ByteSize = Field(ByteSize(16 * 1024**3), gt=0, description="All artifacts of a run together.")


class ArtifactSettings(_Frozen):
    """Where artifacts are kept, and how long."""

    url: Annotated[str, AfterValidator(_one_of_schemes(ARTIFACT_SCHEMES))] | None = Field(
        None, description="The store of artifacts, such as s3://bucket/prefix; none: `artifacts` in the data folder."
    )
    max_bytes: Annotated[Size | None, Unlimited] = Field(
        None, description="What artifacts may take together, uncompressed; beyond it the oldest go. `none`: no limit."
    )
    max_age: Annotated[Age | None, Unlimited] = Field(
        None, description="How long artifacts are kept, such as 30d; `none`: as long as their runs."
    )


class EngineCache(_Frozen):
    """How much the embedded engine keeps of what it has run, for the next time."""

    max_bytes: Annotated[Size | None, Unlimited] = Field(
        ByteSize(20 * 1024**3),
        description="What results and cache volumes may take of the disk; beyond it the least recently used go. "
        "`none`: no limit.",
    )
    max_age: Annotated[Age | None, Unlimited] = Field(
        None, description="How long results and cache volumes stay unused, such as 30d; `none`: no limit."
    )


class EngineLimits(_Frozen):
    """What a command of the embedded engine may take of the machine."""

    processes: Annotated[Processes | None, Unlimited] = Field(
        4096, description="Processes and threads that a command may have at once; `none`: no limit."
    )
    memory: Annotated[Memory | None, Unlimited] = Field(
        None,
        description="Memory that each process of a command may take, such as 2GiB, 16MiB at least; `none`: no limit.",
    )
    output: Annotated[Size | None, Unlimited] = Field(
        ByteSize(128 * 1024**2),
        description="What the engine keeps of each of a command's streams, besides the end; `none`: no limit.",
    )


class CacheSettings(_Frozen):
    """What is kept of runs' results, so that equal runs are answered without being executed."""

    enabled: bool = Field(True, description="Whether runs are answered from the cache, and their results kept in it.")
    read_only: bool = Field(False, description="Whether results are looked up only, and written by others, such as CI.")
    ttl: Annotated[Age | None, Unlimited] = Field(
        "30d", description="How long results are kept, such as 12h or 30d; `none`: no limit."
    )
    longer_than: Annotated[float, Field(ge=0, le=_WEEK)] = Field(
        0.0, description="Only results of runs that took more than so many seconds are kept."
    )
    memory_bytes: Size = Field(ByteSize(64 * 1024**2), description="What the tier in memory may take.")
    disk_bytes: Size = Field(
        ByteSize(1024**3),
        description="What the tier in the data folder may take; beyond it the least recently used go.",
    )
    url: Annotated[str, AfterValidator(_one_of_schemes(CACHE_SCHEMES))] | None = Field(
        None, description="A tier that several machines share: an address of Redis, Valkey, PostgreSQL or S3."
    )
    timeout: Seconds = Field(2.0, description="Seconds that a tier may take to answer before it is left out.")
    image_seconds: Annotated[float, Field(ge=0, le=_WEEK)] = Field(
        600.0, description="Seconds for which the digest that an image's tag had is taken to be the one it has."
    )
    digest_key: SecretPlace | None = Field(
        None,
        description="Where the key of secrets' digests is, `env:NAME` or `file:PATH`; machines that share results of "
        "pipelines with secrets need the same one. None: one of the data folder's own.",
    )


class WebhookSettings(_Frozen):
    """How webhooks are taken in."""

    max_bytes: Size = Field(ByteSize(5 * 1024**2), description="The largest body of a webhook that is read.")
    tolerance: Seconds = Field(
        300.0, description="Seconds that the time in a signed webhook may differ from the server's."
    )


class HookSettings(_Frozen):
    """How changes of runs are told to others."""

    attempts: int = Field(10, ge=1, le=100, description="How often a message is sent until it counts as dead.")
    delay: Seconds = Field(
        5.0, description="Seconds before a message is sent again; each time twice as many, with jitter."
    )
    maximum: Seconds = Field(3600.0, description="Seconds between two attempts at most.")
    timeout: Seconds = Field(10.0, description="Seconds that a receiver may take to answer.")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _runs_at_once() -> int:
    return max(4, _cores())


class Settings(_Frozen):
    """Everything that can be set; frozen."""

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("task-manager")),
        description="The folder of the store, artifacts and logs.",
    )
    database_url: Annotated[str, AfterValidator(_one_of_schemes(DATABASE_SCHEMES))] | None = Field(
        None, description="The database; none: SQLite in the data folder."
    )
    engine: EngineChoice = Field(EngineChoice.AUTO, description="Which engine executes.")
    runner_host: Annotated[str, AfterValidator(_one_of_schemes(RUNNER_SCHEMES))] | None = Field(
        None, description="The address of a running Dagger engine."
    )
    images: ImagePolicy = Field(ImagePolicy.AUTO, description="What steps run on.")
    registries: Registries = Registries()
    network: NetworkPolicy = Field(
        NetworkPolicy.AUTO,
        description="What steps of the embedded engine reach. The engine's own variable `TASK_MANAGER_ENGINE_NETWORK`,"
        " which whoever runs a machine sets for all programs that use the engine there, counts over it.",
    )
    engine_cache: EngineCache = EngineCache()
    engine_limits: EngineLimits = EngineLimits()
    cache: CacheSettings = CacheSettings()
    parallelism: int = Field(default_factory=_cores, ge=1, le=1024, description="Steps at once.")
    run_parallelism: int = Field(default_factory=_runs_at_once, ge=1, le=1024, description="Runs at once.")
    default_step_timeout: Seconds = Field(3600.0, description="Seconds, for steps that state none.")
    project_parallelism: int | None = Field(None, ge=1, le=1024, description="Runs of one project at once.")
    template_parallelism: dict[str, Annotated[int, Field(ge=1, le=1024)]] = Field(
        default_factory=dict, description="Runs of a template at once, by its id."
    )
    retry: RetryPolicy = RetryPolicy()
    recoveries: int = Field(5, ge=0, le=1000, description="How often an interrupted run is taken up again.")
    worker: WorkerMode = Field(WorkerMode.PROCESS, description="Who executes the runs that a command starts.")
    idle_seconds: Seconds = Field(300.0, description="Seconds without a run after which a worker on demand ends.")
    shutdown_seconds: Annotated[float, Field(ge=0, le=_WEEK)] = Field(
        10.0, description="Seconds that runs have to end in when their worker is stopped."
    )
    snapshot_days: float = Field(
        30.0,
        ge=1,
        le=36_500,
        description="Days for which a source folder's snapshot is kept after the last run that was started with it.",
    )
    attempt_hours: float = Field(
        1.0,
        ge=0.1,
        le=876_000,
        description="Hours for which the worker's own record of an attempt is kept after its end; runs and their"
        " events, which are kept apart, stay.",
    )
    default_run_timeout: Seconds | None = Field(None, description="Seconds, for pipelines that state none.")
    engine_reconnects: int = Field(
        3,
        ge=0,
        le=100,
        description="How often a step is run again after the engine died under it; 0: its run is retried instead.",
    )
    limits: Limits = Limits()
    artifacts: ArtifactSettings = ArtifactSettings()
    webhooks: WebhookSettings = WebhookSettings()
    hooks: HookSettings = HookSettings()
    public_url: Annotated[str, AfterValidator(_one_of_schemes(("http", "https")))] | None = Field(
        None, description="The address under which people reach the dashboard; what others are told links to it."
    )
    environment: dict[VariableName, VariableValue] = Field(
        default_factory=dict, description="Environment variables that every step gets."
    )
    templates_dir: Folder | None = Field(None, description="A folder of templates beside the built-in ones.")
    pipelines_dir: Folder | None = Field(None, description="The folder that pipeline functions are loaded from.")
    dagger_config_path: Path | None = Field(None, description="The file of engine settings.")
    connect_timeout: Seconds = Field(10.0, description="Seconds to wait for an engine or a registry to answer.")
    mcp_tools: McpTools = Field(McpTools.USUAL, description="Which tools agents are shown.")
    log_level: LogLevel = Field(LogLevel.WARNING, description="What is logged.")
    log_format: LogFormat = Field(LogFormat.TEXT, description="What log lines look like, on standard error.")

    @property
    def execution_digest(self) -> str:
        """`sha256:…` over what runs are executed by: equal settings have equal digests."""
        text = self.model_dump_json(include={*ENGINE_FILE_SETTINGS, *_EXECUTION})
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


_EXECUTION = ("templates_dir", "pipelines_dir", "database_url", "artifacts")

ENGINE_FILE_SETTINGS = frozenset(
    {
        "engine",
        "runner_host",
        "images",
        "registries",
        "network",
        "engine_cache",
        "cache",
        "engine_limits",
        "parallelism",
        "run_parallelism",
        "project_parallelism",
        "template_parallelism",
        "retry",
        "recoveries",
        "idle_seconds",
        "shutdown_seconds",
        "limits",
        "default_step_timeout",
        "default_run_timeout",
        "environment",
        "connect_timeout",
    }
)
"""What the file of `dagger_config_path` may set."""

PATHS = frozenset({"data_dir", "templates_dir", "pipelines_dir", "dagger_config_path"})
GROUPS: Mapping[str, type[BaseModel]] = {
    "registries": Registries,
    "engine_cache": EngineCache,
    "cache": CacheSettings,
    "engine_limits": EngineLimits,
    "limits": Limits,
    "artifacts": ArtifactSettings,
    "retry": RetryPolicy,
    "webhooks": WebhookSettings,
    "hooks": HookSettings,
}


def setting_names() -> tuple[str, ...]:
    """Every setting's name, in order; those in a group as `limits.output_bytes`."""
    return tuple(
        leaf
        for name in Settings.model_fields
        for leaf in ([f"{name}.{part}" for part in GROUPS[name].model_fields] if name in GROUPS else [name])
    )
