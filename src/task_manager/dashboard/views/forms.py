"""Fields of forms: each with its label, what it is for, and what is wrong with it.

What stands in a field at first is given as an attribute or text that the browser takes as the default: what was typed
since stays when the form is drawn again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.parameter_forms import InputKind, ParameterField, Typed, input_name
from task_manager.dashboard.views.parts import prose
from task_manager.dashboard.views.tree import Action, Node, h


@dataclass(frozen=True)
class About:
    """What is said about a field.

    Attributes:
        help: What it is for.
        problem: What is wrong with its value.
        required: Whether it must not be empty.
        example: Shown while it is empty.
    """

    help: str = ""
    problem: str = ""
    required: bool = False
    example: str = ""


NOTHING: Final = About()


def text_field(
    name: str, label: str, value: str = "", about: About = NOTHING, *, kind: str = "text", **attributes: Any
) -> Node:
    """One line of text.

    Args:
        name: What its value is sent under.
        label: What stands above it.
        value: What stands in it at first.
        about: What is said about it.
        kind: The type of the `input` element.
        attributes: Further attributes.
    """
    given: dict[str, Any] = {"^value": value, "class": "input", "autocomplete": "off", **attributes}
    drawn = h("input", name=name, type=kind, placeholder=about.example or None, **given, **_described(name, about))
    return _field(name, label, drawn, about)


def area_field(
    name: str, label: str, value: str = "", about: About = NOTHING, *, class_: str = "", rows: int = 3
) -> Node:
    """Several lines of text, at least so many rows; other arguments as for `text_field`."""
    lines = str(min(max(value.count("\n") + 1, rows), 10))
    given: dict[str, Any] = {
        "placeholder": about.example or None,
        "class": f"input {class_}".strip(),
        "spellcheck": "false",
    }
    return _field(name, label, h("textarea", value, name=name, rows=lines, **given, **_described(name, about)), about)


def choice_field(
    name: str,
    label: str,
    options: Iterable[tuple[str, str]],
    value: str = "",
    about: About = NOTHING,
    *,
    on: dict[str, Action] | None = None,
) -> Node:
    """One of several.

    Args:
        name: What its value is sent under.
        label: What stands above it.
        options: Values with their names.
        value: The one that is chosen at first.
        about: What is said about it.
        on: What the server is told when another one is chosen.
    """
    drawn = [h("option", text, value=one, **_marked("selected", one == value)) for one, text in options]
    select = h("select", *drawn, name=name, class_="input", on=on, **_described(name, about))
    return _field(name, label, select, about)


def switch_field(name: str, label: str, on: bool, about: About = NOTHING) -> Node:
    """On or off."""
    box = h("input", type="checkbox", name=name, class_="switch", **_marked("checked", on), **_described(name, about))
    line = h("div", box, h("label", label, for_=_id(name)), class_="switch-line")
    return h("div", line, *_remarks(name, about), class_="field", key=name)


def choices_field(
    name: str, label: str, options: Iterable[tuple[str, str]], chosen: Sequence[str], about: About = NOTHING
) -> Node:
    """Any of several; each is sent under `NAME.OPTION`.

    Args:
        name: The beginning of what is sent.
        label: What stands above it.
        options: Values with their names.
        chosen: Those that are chosen at first.
        about: What is said about it.
    """
    boxes = [_box(input_name(name, one), text, one in chosen) for one, text in options]
    heading = h("span", label, _star(about), class_="label", id=f"{_id(name)}-label")
    group = h("div", *boxes, class_="choices", role="group", aria_labelledby=f"{_id(name)}-label")
    return h("div", heading, group, *_remarks(name, about), class_="field", key=name)


def parameter_input(field: ParameterField, prefix: str, problem: str = "", value: Typed | None = None) -> Node:
    """The field of a template's parameter.

    Args:
        field: The parameter.
        prefix: Of the name that its value is sent under.
        problem: What is wrong with its value.
        value: What stands in it at first; none: the default.
    """
    name, shown = input_name(prefix, field.name), field.initial if value is None else value
    about = About(field.meaning, problem, field.required, field.example)
    text = shown if isinstance(shown, str) else ""
    match field.kind:
        case InputKind.SWITCH:
            return switch_field(name, field.name, shown is True, about)
        case InputKind.CHOICES:
            options = [(one, one) for one in field.choices]
            return choices_field(name, field.name, options, shown if isinstance(shown, list) else (), about)
        case InputKind.CHOICE:
            none = [] if text and field.required else [("", "None")]
            return choice_field(name, field.name, [*none, *((one, one) for one in field.choices)], text, about)
        case InputKind.PARAGRAPH:
            return area_field(name, field.name, text, about, class_="code growing", rows=1)
        case InputKind.LINES | InputKind.JSON:
            how = "One a line." if field.kind is InputKind.LINES else "As JSON."
            about = replace(about, help=f"{field.meaning} {how}".strip())
            return area_field(name, field.name, text, about, class_="code")
        case _:
            return _line_input(field, name, text, about)


def _line_input(field: ParameterField, name: str, text: str, about: About) -> Node:
    mode = "decimal" if field.kind is InputKind.NUMBER else None
    kind = "password" if field.kind is InputKind.SECRET else "text"
    return text_field(name, field.name, text, about, kind=kind, inputmode=mode, spellcheck="false")


def problem_banner(title: str, *children: Node) -> Node:
    """What went wrong with a whole form; screen readers say it at once."""
    words = h("div", h("strong", title), *children)
    # The key tells it from the fields after it, which then stay as they are.
    return h("div", icon("warn"), words, class_="banner tone-bad", role="alert", key="banner")


def form(label: str, submit: Action, *children: Node | None, class_: str = "") -> Node:
    """A form; its fields are sent with the action.

    Args:
        label: What it is for, for screen readers.
        submit: What the server is told.
        children: What is in it.
        class_: Further classes.
    """
    classes = f"form {class_}".strip()
    return h("form", *children, on={"submit": submit}, class_=classes, aria_label=label, novalidate="")


def submit_button(text: str, *, look: str = "primary", icon_name: str | None = None) -> Node:
    """Sends the form."""
    drawn = icon(icon_name) if icon_name else None
    return h("button", drawn, h("span", text), type="submit", class_=f"button {look}".strip())


def _field(name: str, label: str, drawn: Node, about: About) -> Node:
    heading = h("label", label, _star(about), class_="label", for_=_id(name))
    classes = "field has-problem" if about.problem else "field"
    # The key keeps the field, and what was typed in it, whatever appears before it.
    return h("div", heading, drawn, *_remarks(name, about), class_=classes, key=name)


def _box(name: str, label: str, ticked: bool) -> Node:
    box = h("input", type="checkbox", name=name, **_marked("checked", ticked))
    return h("label", box, h("span", label), class_="choice")


def _marked(attribute: str, on: bool) -> dict[str, Any]:
    return {f"^{attribute}": ""} if on else {}


def _star(about: About) -> Node | None:
    return h("span", "required", class_="required") if about.required else None


def _remarks(name: str, about: About) -> list[Node]:
    said = (("problem", about.problem), ("help", about.help))
    return [h("p", *prose(text), class_=part, id=f"{_id(name)}-{part}") for part, text in said if text]


def _described(name: str, about: About) -> dict[str, Any]:
    said = [f"{_id(name)}-{part}" for part, text in (("problem", about.problem), ("help", about.help)) if text]
    return {
        "id": _id(name),
        "aria_describedby": " ".join(said) or None,
        "aria_invalid": "true" if about.problem else None,
        "required": "" if about.required else None,
    }


def _id(name: str) -> str:
    return "field-" + "".join(letter if letter.isalnum() else "-" for letter in name)
