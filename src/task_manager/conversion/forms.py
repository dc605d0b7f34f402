"""The forms that texts of definitions must have, as people are told them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter

from task_manager.model_findings import Form, Forms
from task_manager.pipeline import ContainerPath, EnvironmentName, Identifier, Script, SecretReference, Service

FUNCTION_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
"""The form of `module:function`."""


def _pattern(annotation: Any) -> str:
    pattern: str = TypeAdapter(annotation).json_schema()["pattern"]
    return pattern


def _pattern_of(model: type[BaseModel], field: str) -> str:
    pattern: str = model.model_json_schema()["properties"][field]["pattern"]
    return pattern


PIPELINE_FORMS: Forms = {
    _pattern(Identifier): Form(
        "the form of a name",
        "Use a letter, then letters, digits, '_' or '-', at most 63 characters.",
    ),
    _pattern(ContainerPath): Form("the form of a path", "Leave out the null character."),
    _pattern(EnvironmentName): Form(
        "the form of an environment variable's name",
        "Use a letter or '_', then letters, digits or '_'.",
    ),
    _pattern(SecretReference): Form(
        "the form of a secret's reference",
        "Name where the secret is kept, never its value: env:NAME or file:PATH.",
    ),
    _pattern_of(Service, "name"): Form(
        "the form of a host name",
        "Use lower-case letters, digits and '-', starting with a letter, at most 63 characters.",
    ),
    _pattern_of(Script, "name"): Form(
        "the form of a file name",
        "Use letters, digits, '_', '-' and '.', no folders, at most 100 characters.",
    ),
    FUNCTION_PATTERN: Form(
        "the form module:function",
        "Name a module of the pipelines folder and a function in it, such as release:build.",
    ),
}
