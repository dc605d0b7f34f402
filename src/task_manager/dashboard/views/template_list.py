"""The catalog of templates, by category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from task_manager.application import Application
from task_manager.dashboard.views import frame, looks
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.parts import empty, prose
from task_manager.dashboard.views.tree import Node, h
from task_manager.results.wording import counted
from task_manager.templating.records import WorkflowTemplate

_BESIDE: Final = 1
"""As many templates a category has at most to stand beside other categories."""


@dataclass(frozen=True)
class Catalog:
    """What the page shows.

    Attributes:
        templates: Each in its highest version.
        runs: How many runs were made from each, by the template's id.
        problems: Files that cannot be used, and why.
    """

    templates: Sequence[WorkflowTemplate]
    runs: Mapping[str, int]
    problems: Sequence[str]


async def load(application: Application) -> Catalog:
    """Find out what the catalog shows."""
    registry = application.templates
    statistics = await application.runs.statistics()
    return Catalog(
        registry.list(),
        {one.name: one.summary.runs for one in statistics.by_template if one.name},
        [str(problem) for problem in registry.problems],
    )


def draw(catalog: Catalog, category: str = "") -> list[Node]:
    """Draw the catalog: of one category, or all."""
    categories = sorted({one.category for one in catalog.templates})
    shown = [one for one in categories if category in ("", one)] or categories
    sections = [_category(name, catalog) for name in shown]
    chosen = category if category in categories else ""
    tabs = [_tab("", "All", chosen), *(_tab(one, looks.label(one), chosen) for one in categories)]
    bar = h("div", h("nav", *tabs, class_="segments", aria_label="Categories"), class_="toolbar")
    problems = [_problem(one) for one in catalog.problems]
    if not catalog.templates:
        text = "A template is a reusable workflow with parameters."
        nothing = empty("No templates", text, "task-manager template validate my-template.yaml", icon_name="templates")
        return [frame.heading("Templates"), *problems, h("section", nothing, class_="card")]
    return [frame.heading("Templates"), bar, *problems, h("div", *sections, class_="catalog")]


def _tab(category: str, text: str, chosen: str) -> Node:
    href = f"/templates?category={category}" if category else "/templates"
    return h("a", text, href=href, aria_current="true" if category == chosen else None)


def _category(name: str, catalog: Catalog) -> Node:
    cards = [_card(one, catalog.runs.get(one.id, 0)) for one in catalog.templates if one.category == name]
    wide = "wide-section" if len(cards) > _BESIDE else None
    listed = h("ul", *cards, class_="project-cards")
    return h("section", h("h2", looks.label(name)), listed, class_=wide, aria_label=looks.label(name))


def _card(template: WorkflowTemplate, runs: int) -> Node:
    foot = h(
        "span",
        h("code", template.id),
        h("span", counted(len(template.parameter_names), "parameter")),
        h("span", counted(runs, "run") if runs else "Not run yet"),
        class_="template-foot",
    )
    return h(
        "li",
        h(
            "a",
            h(
                "span",
                h("strong", template.name),
                h("span", template.version, class_="muted small"),
                class_="project-title",
            ),
            h("span", *prose(template.description), class_="project-about"),
            foot,
            href=f"/templates/{template.id}",
            class_="project-card",
        ),
        key=template.id,
    )


def _problem(text: str) -> Node:
    return h("div", icon("warn"), h("div", h("strong", "A file cannot be used. "), text), class_="banner tone-warn")
