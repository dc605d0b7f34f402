"""What use cases say about a form, at the field that it is about."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pydantic import BaseModel

from task_manager.dashboard.views.parameter_forms import WHOLE_FORM
from task_manager.errors import DependencyCycle, SourceNotFound, TaskManagerError


def problems_at_fields(error: TaskManagerError, fields: Collection[str]) -> dict[str, str]:
    """What is wrong, by field; what is about none of them under `WHOLE_FORM`.

    Args:
        error: What a use case raised.
        fields: The form's fields, named as those of the record.
    """
    found: dict[str, str] = {}
    for place, message in _findings(error):
        name = place if place in fields else WHOLE_FORM
        text = message.removeprefix(f"{place}: ") if name else message
        found[name] = " ".join(filter(None, (found.get(name, ""), text)))
    return found


def _findings(error: TaskManagerError) -> list[tuple[str, str]]:
    findings = error.details.get("findings")
    if isinstance(findings, list) and findings:
        return [(str(one["path"][0]) if one.get("path") else "", one["message"]) for one in findings]
    text = f"{error.message} {error.remedy}".strip()
    if isinstance(error, SourceNotFound):
        return [("source_folder", text)]
    if isinstance(error, DependencyCycle):
        return [("dependencies", text)]
    # A name that is taken stands among the details under its field.
    named = [name for name in ("name", "title") if name in error.details]
    return [(named[0] if named else WHOLE_FORM, text)]


def changed_meanwhile(before: BaseModel, after: BaseModel, fields: Collection[str]) -> dict[str, tuple[object, object]]:
    """The fields that somebody else has changed, each with what it was and what it is.

    Args:
        before: The record as the form was filled from it.
        after: As it is stored now.
        fields: Those that the form has.
    """
    was: Mapping[str, object] = before.model_dump(mode="json")
    now: Mapping[str, object] = after.model_dump(mode="json")
    return {name: (was[name], now[name]) for name in fields if was.get(name) != now.get(name)}
