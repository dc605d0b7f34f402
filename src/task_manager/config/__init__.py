"""The settings: what they mean, where they come from, and which source wins.

A value is taken from the first of these that has it: arguments; the environment (`TASK_MANAGER_…`); the file that
`dagger_config_path` names; `task-manager.toml` in the working folder or its git root; the default.
"""

from task_manager.config.loading import environment_name, load_settings
from task_manager.config.masking import describe_settings, is_secret_name, mask_secrets
from task_manager.config.settings import (
    ArtifactSettings,
    CacheSettings,
    EngineCache,
    EngineChoice,
    ImagePolicy,
    Limits,
    LogFormat,
    LogLevel,
    McpTools,
    NetworkPolicy,
    Registries,
    Settings,
    WorkerMode,
    setting_names,
)

__all__ = [
    "ArtifactSettings",
    "CacheSettings",
    "EngineCache",
    "EngineChoice",
    "ImagePolicy",
    "Limits",
    "LogFormat",
    "LogLevel",
    "McpTools",
    "NetworkPolicy",
    "Registries",
    "Settings",
    "WorkerMode",
    "describe_settings",
    "environment_name",
    "is_secret_name",
    "load_settings",
    "mask_secrets",
    "setting_names",
]
