"""Settings as they may be shown: without passwords, tokens and the like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from task_manager.config.settings import GROUPS, Settings, setting_names

SECRET_NAME = re.compile(r"(?i)(pass(word|wd|phrase)?|secret|token|credential|api_?key|private_?key)")


def describe_settings(settings: Settings, origins: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each setting as `{setting, value, origin, description}`, JSON-like, with secrets masked."""
    values = settings.model_dump(mode="json")
    return [
        {
            "setting": name,
            "value": masked(_value_at(values, name)),
            "origin": origins.get(name, "default"),
            "description": _field_description(name),
        }
        for name in setting_names()
    ]


def masked(value: object) -> Any:
    """The value with passwords, tokens and the like replaced by `***`."""
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, Mapping):
        return {name: "***" if SECRET_NAME.search(str(name)) else masked(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value


def is_secret_name(name: str) -> bool:
    """Whether something of that name is a secret, by its words."""
    return SECRET_NAME.search(name) is not None


def mask_secrets(text: str) -> str:
    """The text with passwords in addresses replaced by `***`."""
    text = re.sub(r"(://[^:/@\s]*):[^\s]*@", r"\1:***@", text)
    return re.sub(r"(?i)([?&][a-z]*(?:password|token|secret)=)[^&\s]*", r"\1***", text)


def _value_at(values: Mapping[str, Any], name: str) -> Any:
    group, _, leaf = name.partition(".")
    return values[group][leaf] if leaf else values[group]


def _field_description(name: str) -> str:
    group, _, leaf = name.partition(".")
    fields = GROUPS[group].model_fields if leaf else Settings.model_fields
    return fields[leaf or group].description or ""
