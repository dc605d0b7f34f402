"""The engine's settings: from a file, from the environment, from arguments."""

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from task_manager.embedded_engine.errors import ConfigurationError
from task_manager.embedded_engine.limits import CommandLimits
from task_manager.embedded_engine.quantities import AGE_FORM, SIZE_FORM, parse_age, parse_size

STATE_DIR_VARIABLE = "TASK_MANAGER_ENGINE_STATE_DIR"
_NO_LIMIT = "none"
# A process that could not even be started would say nothing of the limit.
_LEAST_MEMORY = 16 << 20
CONFIG_VARIABLE = "TASK_MANAGER_ENGINE_CONFIG"
NETWORK_VARIABLE = "TASK_MANAGER_ENGINE_NETWORK"
NETWORKS = ("auto", "host", "none")


@dataclass(frozen=True)
class EngineConfig:
    """Everything that can be set.

    Attributes:
        state_dir: The store's folder.
        mirrors: Per registry host, base URLs that are asked before the registry itself.
        insecure: Registry hosts, with port, that speak plain http; loopback ones always may.
        parallelism: How many commands run at once.
        connect_timeout: Seconds until a registry counts as unreachable.
        pull_timeout: Seconds without a byte until a pull counts as broken.
        network: What commands reach: `auto`, other machines by pasta, slirp4netns or, as root, nft, where one of them
            is installed;
            `host`, whatever the host reaches, its loopback included; `none`, nothing. Bound services are reached
            in any case, by commands that have a network of their own.
        max_bytes: What results and cache volumes may take of the disk, in bytes; beyond that sessions remove the least
            recently used ones when they start and end. None for no limit.
        max_age: Seconds without use after which sessions remove a result or cache volume; None for no limit.
        max_processes: How many processes and threads a command may have at once; None for no limit. Before Linux 6.14
            the commands of a session that run as one user share this number, and those of root have no limit.
        max_memory: How much memory each process of a command may allocate, in bytes; None for no limit.
        max_output: How much is kept of a command's standard output, and of its standard error, in bytes, besides the
            end; None for no limit.
    """

    state_dir: Path
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    insecure: frozenset[str] = frozenset()
    parallelism: int = field(default_factory=lambda: os.cpu_count() or 1)
    connect_timeout: float = 5.0
    pull_timeout: float = 60.0
    network: str = "auto"
    max_bytes: int | None = 20 << 30
    max_age: float | None = None
    max_processes: int | None = 4096
    max_memory: int | None = None
    max_output: int | None = 128 << 20


def command_limits(config: EngineConfig) -> CommandLimits:
    """Return what the settings allow a command."""
    return CommandLimits(config.max_processes, config.max_memory, config.max_output)


def load_config(path: str | None, state_dir: str | None, environment: Mapping[str, str]) -> EngineConfig:
    """Return the settings: arguments count over the environment, that over the file, that over defaults.

    Args:
        path: A JSON, TOML or YAML file; None for the one that the environment names, if any.
        state_dir: The store's folder; None for what the environment or the file says.
        environment: The process's environment.

    Raises:
        ConfigurationError: The file cannot be read, has an unknown key or a value that cannot be used.
    """
    path = path or environment.get(CONFIG_VARIABLE)
    values = _checked(_read(Path(path)), path) if path else {}
    chosen = state_dir or environment.get(STATE_DIR_VARIABLE) or values.pop("state_dir", None)
    values.pop("state_dir", None)
    values.update(_from_environment(environment))
    folder = Path(chosen).expanduser() if chosen else _default_state_dir()
    return EngineConfig(folder.absolute(), **values)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    network = environment.get(NETWORK_VARIABLE)
    if not network:
        return {}
    if network not in NETWORKS:
        raise ConfigurationError(f"{NETWORK_VARIABLE} must be {_FORMS['network']}, not {network!r}")
    return {"network": network}


def _default_state_dir() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("task-manager-engine")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = _parsed(path, text)
    except OSError as error:
        raise ConfigurationError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"the configuration {path} is not valid: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"the configuration {path} must be a table of settings")
    return content


def _parsed(path: Path, text: str) -> object:
    if path.suffix == ".json":
        return json.loads(text)
    if path.suffix == ".toml":
        return tomllib.loads(text)
    import yaml

    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _checked(content: Mapping[str, Any], path: str) -> dict[str, Any]:
    known = [item.name for item in fields(EngineConfig)]
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise ConfigurationError(f"the configuration {path} has the unknown key {key}{hint}")
        try:
            values[key] = _CONVERTERS[key](value)
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError(f"the configuration {path}: {key} must be {_FORMS[key]}, not {value!r}") from error
    return values


def _mirrors(value: Any) -> Mapping[str, tuple[str, ...]]:
    return {_text(host): tuple(_url(url) for url in urls) for host, urls in value.items()}


def _url(value: object) -> str:
    text = _text(value)
    if not text.startswith(("http://", "https://")):
        raise ValueError(text)
    return text


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(value)
    return value


def _hosts(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise TypeError(value)
    return frozenset(_text(item) for item in value)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(value)
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        raise ValueError(value)
    return float(value)


def _size(value: object) -> int | None:
    if value is None or value == _NO_LIMIT:
        return None
    return parse_size(value) if isinstance(value, str) else _count(value)


def _processes(value: object) -> int | None:
    return None if value is None or value == _NO_LIMIT else _count(value)


def _memory(value: object) -> int | None:
    size = _size(value)
    if size is not None and size < _LEAST_MEMORY:
        raise ValueError(value)
    return size


def _age(value: object) -> float | None:
    if value is None or value == _NO_LIMIT:
        return None
    return parse_age(value) if isinstance(value, str) else _seconds(value)


def _network(value: object) -> str:
    if value not in NETWORKS:
        raise ValueError(value)
    return str(value)


_CONVERTERS = {
    "state_dir": _text,
    "mirrors": _mirrors,
    "insecure": _hosts,
    "parallelism": _count,
    "connect_timeout": _seconds,
    "pull_timeout": _seconds,
    "network": _network,
    "max_bytes": _size,
    "max_age": _age,
    "max_processes": _processes,
    "max_memory": _memory,
    "max_output": _size,
}
_FORMS = {
    "state_dir": "a path",
    "mirrors": "a table of registry host to a list of http(s) URLs",
    "insecure": "a list of registry hosts",
    "parallelism": "a whole number from 1 on",
    "connect_timeout": "a number of seconds above 0",
    "pull_timeout": "a number of seconds above 0",
    "network": "auto, host or none",
    "max_bytes": f"{SIZE_FORM}, or none",
    "max_age": f"{AGE_FORM}, a number of seconds above 0, or none",
    "max_processes": "a whole number from 1 on, or none",
    "max_memory": f"{SIZE_FORM}, at least 16MiB, or none",
    "max_output": f"{SIZE_FORM}, or none",
}
