"""Which webhooks match a trigger, and which parameters they give it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase

from pydantic import JsonValue

from task_manager.errors import InvalidInput
from task_manager.trigger_records import Trigger
from task_manager.webhook_deliveries import Delivery, at


def mismatches(trigger: Trigger, delivery: Delivery) -> list[str]:
    """Why a webhook does not match a trigger, one sentence each; none: it does."""
    return list(_mismatches(trigger, delivery))


def parameters_of(trigger: Trigger, delivery: Delivery) -> dict[str, JsonValue]:
    """The parameters that a trigger gives to what it starts.

    Raises:
        InvalidInput: The payload has nothing at a place.
    """
    found = {name: at(delivery.payload, pointer) for name, pointer in trigger.payload_parameters.items()}
    missing = sorted(name for name, value in found.items() if value is None)
    if missing:
        places = ", ".join(f"{trigger.payload_parameters[name]} for {name}" for name in missing)
        raise InvalidInput(
            f"The payload has nothing at {places}, which trigger {trigger.name!r} takes from there.",
            remedy="See the payload, or let another condition keep such events away.",
            details={"trigger": trigger.name, "missing": missing},
        )
    return {**trigger.parameters, **found}


def _mismatches(trigger: Trigger, delivery: Delivery) -> Iterator[str]:
    if trigger.source is not delivery.source:
        yield f"It is from {delivery.source}, not {trigger.source}."
    if trigger.events and not any(fnmatchcase(delivery.event, one) for one in trigger.events):
        yield f"The event is {delivery.event!r}, not {' or '.join(trigger.events)}."
    for what, pattern, text in (
        ("repository", trigger.repository, delivery.repository),
        ("branch", trigger.branch, delivery.branch),
    ):
        if pattern is not None and not (text is not None and fnmatchcase(text, pattern)):
            yield f"The {what} is {text!r}, not {pattern}." if text is not None else f"It has no {what}."
    for pointer, pattern in trigger.conditions.items():
        text = _text(at(delivery.payload, pointer))
        if text is None or not fnmatchcase(text, pattern):
            yield f"At {pointer} there is {'nothing' if text is None else repr(text[:100])}, not {pattern}."


def _text(value: JsonValue) -> str | None:
    """A value as patterns see it: a text as it is, others as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
